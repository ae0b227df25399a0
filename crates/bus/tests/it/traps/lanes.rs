//! Blocking reads: killed connections, cancelled reads, deleted consumer groups.

use std::time::Duration;

use protocol::cluster::job::Lane::{Interactive, Platform};
use testkit::{Redis, wait};
use tokio::time::{Instant, timeout};

use crate::nodes::{SHORT_WAIT, connect};
use crate::sample::{job, worker};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn cancelled_claim_takes_no_job() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let (first, second) = (worker("w-1"), worker("w-2"));
    bus.claim(Interactive, &first, 1, SHORT_WAIT).await.unwrap();
    for round in 0..5 {
        let given_up = timeout(SHORT_WAIT, bus.claim(Interactive, &first, 1, wait::deadline())).await;
        assert!(given_up.is_err());
        wait::until_true("the read to end", wait::deadline(), async || {
            !redis.command(&["CLIENT", "LIST"]).await.contains("cmd=xreadgroup")
        })
        .await;
        bus.submit(Interactive, &job(&format!("j-{round}"), 1), PATIENCE)
            .await
            .unwrap();
        let submitted = Instant::now();
        let claimed = bus.claim(Interactive, &second, 1, wait::deadline()).await.unwrap();
        assert!(
            submitted.elapsed() < Duration::from_secs(2),
            "claimed by the first worker"
        );
        bus.finish(Interactive, &claimed[0].entry).await.unwrap();
    }
}

#[tokio::test]
async fn claims_continue_after_killed_connections() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let worker = worker("w-1");
    let killing = async {
        blocked(&redis, 1).await;
        redis
            .command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
            .await;
    };
    let (claimed, ()) = tokio::join!(bus.claim(Interactive, &worker, 1, wait::deadline()), killing);
    assert!(
        claimed.is_err(),
        "a failed claim is an error, so that the caller can back off"
    );
    wait::until_true("a job to be submitted", wait::deadline(), async || {
        bus.submit(Interactive, &job("j-1", 1), PATIENCE).await.is_ok()
    })
    .await;
    let claimed = bus.claim(Interactive, &worker, 1, wait::deadline()).await.unwrap();
    assert_eq!(claimed.len(), 1);
}

#[tokio::test]
async fn lane_is_recreated_after_a_flush() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let worker = worker("w-1");
    bus.submit(Interactive, &job("j-1", 1), PATIENCE).await.unwrap();
    let claimed = bus.claim(Interactive, &worker, 1, wait::deadline()).await.unwrap();
    redis.command(&["FLUSHALL"]).await;
    bus.renew(Interactive, &worker, &[claimed[0].entry.clone()])
        .await
        .unwrap();
    bus.finish(Interactive, &claimed[0].entry).await.unwrap();
    bus.submit(Interactive, &job("j-2", 1), PATIENCE).await.unwrap();
    let claimed = bus.claim(Interactive, &worker, 1, wait::deadline()).await.unwrap();
    assert_eq!(claimed[0].job.id.as_str(), "j-2");
}

#[tokio::test]
async fn blocked_claim_does_not_delay_other_lanes() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let worker = worker("w-1");
    let quick = async {
        blocked(&redis, 1).await;
        let asked = Instant::now();
        bus.submit(Interactive, &job("j-1", 1), PATIENCE).await.unwrap();
        let claimed = bus.claim(Interactive, &worker, 1, wait::deadline()).await.unwrap();
        assert_eq!(claimed.len(), 1);
        asked.elapsed()
    };
    tokio::select! {
        _ = bus.claim(Platform, &worker, 1, wait::deadline()) => panic!("claimed from an empty lane"),
        took = quick => assert!(took < Duration::from_secs(1), "{took:?}"),
    }
}

#[tokio::test]
async fn renewal_of_a_lost_claim_is_ignored() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    bus.submit(Interactive, &job("j-1", 1), PATIENCE).await.unwrap();
    for by in ["w-1", "w-2"] {
        let claimed = bus.claim(Interactive, &worker(by), 1, wait::deadline()).await.unwrap();
        assert_eq!(claimed.len(), 1);
        bus.renew(Interactive, &worker("w-1"), &[claimed[0].entry.clone()])
            .await
            .unwrap();
    }
    let pending = redis
        .command(&["XPENDING", "pn:{jobs:interactive}", "workers", "-", "+", "9"])
        .await;
    assert!(pending.contains("w-2"), "{pending}");
}

#[tokio::test]
async fn dead_job_has_no_payload() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let mut poison = job("poison", 1);
    poison.idempotency_key = Some("planted-canary".to_owned());
    bus.submit(Interactive, &poison, PATIENCE).await.unwrap();
    for by in ["w-1", "w-2", "w-3"] {
        let wait = Duration::from_secs(4);
        bus.claim(Interactive, &worker(by), 1, wait).await.unwrap();
    }
    let everything = redis.dump("pn:").await;
    assert!(!everything.contains("planted-canary"), "{everything}");
    let dead = redis.command(&["XRANGE", "pn:{jobs:interactive}:dead", "-", "+"]).await;
    assert!(dead.contains("poison"), "{dead}");
    assert_eq!(redis.command(&["GET", "pn:{jobs:interactive}:bytes"]).await, "0");
}

#[tokio::test]
async fn idle_consumers_are_deleted() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let (lane, script) = (
        "pn:{jobs:interactive}",
        include_str!("../../../src/redis/script/create_group.lua"),
    );
    for by in ["w-busy", "w-gone"] {
        bus.submit(Interactive, &job("j", 1), PATIENCE).await.unwrap();
        let claimed = bus.claim(Interactive, &worker(by), 1, wait::deadline()).await.unwrap();
        if by == "w-gone" {
            bus.finish(Interactive, &claimed[0].entry).await.unwrap();
        }
    }
    // As the next worker does an hour later.
    redis.command(&["EVAL", script, "1", lane, "workers", "-1"]).await;
    let consumers = redis.command(&["XINFO", "CONSUMERS", lane, "workers"]).await;
    assert!(
        consumers.contains("w-busy") && !consumers.contains("w-gone"),
        "{consumers}"
    );
}

#[tokio::test]
async fn unserved_lane_is_served_anew_after_a_flush_or_by_a_clock_that_went_back() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let times = "pn:{jobs:interactive}:served";
    wait::until_true("the lane to be unserved", wait::deadline(), async || {
        !bus.is_served(Interactive).await.unwrap()
    })
    .await;
    let refused = bus.submit(Interactive, &job("j-1", 1), PATIENCE).await;
    assert!(refused.is_err(), "{refused:?}");
    redis.command(&["FLUSHALL"]).await;
    bus.submit(Interactive, &job("j-2", 1), PATIENCE).await.unwrap();

    let in_a_century = "4949000000000";
    redis.command(&["HSET", times, "claimed", in_a_century]).await;
    assert!(bus.is_served(Interactive).await.unwrap());
    assert_ne!(redis.command(&["HGET", times, "claimed"]).await, in_a_century);
    let ttl: i64 = redis.command(&["PTTL", times]).await.parse().unwrap();
    assert!(ttl > 0, "{ttl}");
}

/// Waits until this number of clients is blocked in a read.
async fn blocked(redis: &Redis, count: usize) {
    let line = format!("blocked_clients:{count}");
    wait::until_true("the number of blocked reads", wait::deadline(), async || {
        redis.command(&["INFO", "clients"]).await.lines().any(|it| it == line)
    })
    .await;
}
