//! Commands with a lost reply: fred would resend them by itself, and run them twice.

use std::time::Duration;

use bus::{BusError, PublishOutcome};
use protocol::cluster::job::Lane;
use testkit::{Proxy, Redis, wait};

use crate::nodes::{TestSubscriptions, connect};
use crate::sample::{event, job, publish, user, worker};

#[tokio::test]
async fn event_with_a_lost_reply_has_one_offset() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.addr()).await;
    let bus = connect(&format!("redis://{}", proxy.addr()), "pn").await;
    let elsewhere = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(&*elsewhere).await;
    subscriptions.handle.subscribe(&user).await.unwrap();
    // The server knows the script now, so that the next command sends its digest only.
    publish(&*bus, &user, 0).await;

    proxy.lose_answer_to("e-1");
    let outcome = bus.publish(&user, &event(1)).await;
    assert!(matches!(outcome, Err(BusError::Unavailable { .. })), "{outcome:?}");
    assert!(!proxy.fault_is_pending());
    assert_eq!(bus.publish(&user, &event(1)).await.unwrap(), PublishOutcome::Duplicate);
    assert_eq!(publish(&*bus, &user, 2).await.seq, 3);
    for seq in 1..=3 {
        assert_eq!(subscriptions.next_seq().await, seq);
    }
}

#[tokio::test]
async fn job_with_a_lost_reply_is_not_resubmitted() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.addr()).await;
    let bus = connect(&format!("redis://{}", proxy.addr()), "pn").await;
    let patience = Duration::from_secs(60);
    // The server knows the script here too.
    bus.submit(Lane::Platform, &job("j-0", 1), patience).await.unwrap();

    proxy.lose_answer_to("j-1");
    let outcome = bus.submit(Lane::Interactive, &job("j-1", 1), patience).await;
    assert!(matches!(outcome, Err(BusError::Unavailable { .. })), "{outcome:?}");
    wait::until_true("the bus to be live", wait::deadline(), async || bus.is_live()).await;
    assert_eq!(redis.command(&["XLEN", "pn:{jobs:interactive}"]).await, "1");

    // A retried submit delivers it twice, with the same id.
    bus.submit(Lane::Interactive, &job("j-1", 1), patience).await.unwrap();
    let claimed = bus
        .claim(Lane::Interactive, &worker("w-1"), 9, wait::deadline())
        .await
        .unwrap();
    let ids: Vec<&str> = claimed.iter().map(|claimed| claimed.job.id.as_str()).collect();
    assert_eq!(ids, ["j-1", "j-1"]);
}

#[tokio::test]
async fn scripts_are_resent_after_script_flush() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    publish(&*bus, &user("GEN-001"), 1).await;
    redis.command(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(publish(&*bus, &user("GEN-001"), 2).await.seq, 2);
}
