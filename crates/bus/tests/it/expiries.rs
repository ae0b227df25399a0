//! Keyspace notifications of expired sessions and warnings.

use std::time::Duration;

use bus::{Bus, SessionKey, SessionSeed, TokenTimes};
use protocol::id::SessionId;
use protocol::time::Timestamp;
use testkit::{Proxy, Redis, wait};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::nodes::connect;
use crate::sample::user;

#[tokio::test]
async fn warning_and_expiry_are_notified_in_any_database_and_prefix() {
    let redis = Redis::start().await;
    for (database, prefix) in [(0, "pn"), (0, "tenant-2"), (3, "pn"), (3, "tenant-2")] {
        let bus = connect(&format!("{}/{database}", redis.url()), prefix).await;
        let mut expiries = bus.expiries();
        until_subscribed(&redis, database).await;
        let key = session("s-1");
        seed(&*bus, &key).await;
        for what in ["the warning", "the end"] {
            assert_eq!(next(&mut expiries, what).await, key, "db {database}, prefix {prefix}");
        }
        drop(expiries);
        until_nobody_is_subscribed(&redis, database).await;
    }
}

#[tokio::test]
async fn expiries_of_other_databases_and_prefixes_are_ignored() {
    let redis = Redis::start().await;
    let ours = connect(&format!("{}/3", redis.url()), "pn").await;
    let mut expiries = ours.expiries();
    until_subscribed(&redis, 3).await;
    for (database, prefix) in [(0, "pn"), (3, "other")] {
        let other = connect(&format!("{}/{database}", redis.url()), prefix).await;
        let key = session("theirs");
        seed(&*other, &key).await;
        wait::until_true("the other session to expire", wait::deadline(), async || {
            let states = other.check_ttl(std::slice::from_ref(&key)).await.unwrap();
            states == [bus::SessionState::Unknown]
        })
        .await;
    }
    seed(&*ours, &session("ours")).await;
    assert_eq!(next(&mut expiries, "our own session").await, session("ours"));
}

#[tokio::test]
async fn expiries_arrive_after_a_killed_connection() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let mut expiries = bus.expiries();
    for round in 0..3 {
        until_subscribed(&redis, 0).await;
        let key = session(&format!("s-{round}"));
        seed(&*bus, &key).await;
        for what in ["the warning", "the end"] {
            assert_eq!(next(&mut expiries, what).await, key);
        }
        redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    }
}

#[tokio::test]
async fn subscription_with_a_lost_reply_is_retried() {
    let redis = Redis::start().await;
    let link = Proxy::start(redis.addr()).await;
    let bus = connect(&format!("redis://{}", link.addr()), "pn").await;
    link.lose_answer_to("$9\r\nSUBSCRIBE\r\n");
    let mut expiries = bus.expiries();
    wait::until_true("the reply to be lost", wait::deadline(), async || {
        !link.fault_is_pending()
    })
    .await;
    wait::until_true("a notification to arrive", wait::deadline(), async || {
        seed(&*bus, &session("s-1")).await;
        expiries.try_recv().is_ok()
    })
    .await;
}

#[tokio::test]
async fn expiries_above_the_queue_capacity_are_dropped() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let mut expiries = bus.expiries();
    until_subscribed(&redis, 0).await;
    // The receiver is not read meanwhile.
    let many = "for n = 1, 20000 do redis.call('SET', 'pn:{u}:s:' .. n, '', 'PX', 1) end";
    redis.command(&["EVAL", many, "0"]).await;
    wait::until_true("all keys to be gone", wait::deadline(), async || {
        redis.command(&["DBSIZE"]).await == "0"
    })
    .await;
    let key = session("the last");
    wait::until_true("an expiry after the burst", wait::deadline(), async || {
        seed(&*bus, &key).await;
        std::iter::from_fn(|| expiries.try_recv().ok()).any(|read| read == key)
    })
    .await;
}

/// Session whose warning and deadline are close.
async fn seed(bus: &dyn Bus, key: &SessionKey) {
    let seed = SessionSeed {
        left: Duration::from_millis(400),
        timeout: Duration::from_secs(60),
        lead: Duration::from_millis(200),
        opened_at: Timestamp::from_millis(1_000),
        tokens: TokenTimes::UNKNOWN,
        announced: None,
    };
    bus.seed(key, seed).await.unwrap();
}

async fn next(expiries: &mut mpsc::Receiver<SessionKey>, what: &str) -> SessionKey {
    let next = timeout(wait::deadline(), expiries.recv()).await;
    next.unwrap_or_else(|_| panic!("{what}: no notification")).unwrap()
}

async fn until_subscribed(redis: &Redis, database: u8) {
    until_subscribers(redis, database, "1").await;
}

async fn until_nobody_is_subscribed(redis: &Redis, database: u8) {
    until_subscribers(redis, database, "0").await;
}

async fn until_subscribers(redis: &Redis, database: u8, count: &str) {
    let channel = format!("__keyevent@{database}__:expired");
    wait::until_true("the number of subscribers", wait::deadline(), async || {
        let answer = redis.command(&["PUBSUB", "NUMSUB", &channel]).await;
        answer.lines().nth(1) == Some(count)
    })
    .await;
}

fn session(id: &str) -> SessionKey {
    SessionKey {
        user: user("GEN-001"),
        session: SessionId::new(id).unwrap(),
    }
}
