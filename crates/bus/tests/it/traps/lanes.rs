//! Reads that wait: connections that die under them, reads that are given up, groups that are gone.

use std::time::Duration;

use protocol::cluster::job::Lane::{Interactive, Platform};
use testkit::{Redis, wait};
use tokio::time::{Instant, timeout};

use crate::nodes::{MOMENT, connect};
use crate::sample::{job, worker};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_claim_that_was_given_up_swallows_no_job() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let (first, second) = (worker("w-1"), worker("w-2"));
    bus.claim(Interactive, &first, 1, MOMENT).await.unwrap();
    for round in 0..5 {
        let given_up = timeout(MOMENT, bus.claim(Interactive, &first, 1, wait::deadline())).await;
        assert!(given_up.is_err());
        wait::until_true("the read to be gone", wait::deadline(), async || {
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
            "it was in the hands of the first"
        );
        bus.finish(Interactive, &claimed[0].entry).await.unwrap();
    }
}

#[tokio::test]
async fn lanes_go_on_after_their_connections_are_killed() {
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
    assert!(claimed.is_err(), "it is told, so that the caller can wait a little");
    wait::until_true("a job to be submitted", wait::deadline(), async || {
        bus.submit(Interactive, &job("j-1", 1), PATIENCE).await.is_ok()
    })
    .await;
    let claimed = bus.claim(Interactive, &worker, 1, wait::deadline()).await.unwrap();
    assert_eq!(claimed.len(), 1);
}

#[tokio::test]
async fn a_lane_begins_anew_after_redis_lost_it() {
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
async fn one_lane_does_not_hold_up_another() {
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
        _ = bus.claim(Platform, &worker, 1, wait::deadline()) => panic!("there is nothing to claim"),
        took = quick => assert!(took < Duration::from_secs(1), "{took:?}"),
    }
}

#[tokio::test]
async fn a_worker_that_lost_a_job_cannot_take_it_back_by_renewing() {
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
async fn a_dead_letter_holds_no_payload() {
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
async fn workers_of_the_past_are_forgotten() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let (lane, script) = (
        "pn:{jobs:interactive}",
        include_str!("../../../src/redis/script/group.lua"),
    );
    for by in ["w-busy", "w-gone"] {
        bus.submit(Interactive, &job("j", 1), PATIENCE).await.unwrap();
        let claimed = bus.claim(Interactive, &worker(by), 1, wait::deadline()).await.unwrap();
        if by == "w-gone" {
            bus.finish(Interactive, &claimed[0].entry).await.unwrap();
        }
    }
    // As the next worker would an hour later.
    redis.command(&["EVAL", script, "1", lane, "workers", "-1"]).await;
    let consumers = redis.command(&["XINFO", "CONSUMERS", lane, "workers"]).await;
    assert!(
        consumers.contains("w-busy") && !consumers.contains("w-gone"),
        "{consumers}"
    );
}

/// Waits until so many clients wait in a read.
async fn blocked(redis: &Redis, count: usize) {
    let line = format!("blocked_clients:{count}");
    wait::until_true("reads to wait or to end", wait::deadline(), async || {
        redis.command(&["INFO", "clients"]).await.lines().any(|it| it == line)
    })
    .await;
}
