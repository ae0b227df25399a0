//! Connections that end: fred without a policy hangs for ever.

use testkit::{Proxy, Redis, wait};

use crate::nodes::{Ear, connect, until_live};
use crate::sample::{offset, publish, publish_surely, user};

#[tokio::test]
async fn a_killed_connection_keeps_publishing_and_hearing() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut ear = Ear::open(&*bus).await;
    ear.feed.subscribe(&user).await.unwrap();
    for round in 1..=5 {
        redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        redis
            .command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
            .await;
        publish_surely(&*bus, &user, round).await;
        ear.missed().await;
    }
    publish_surely(&*bus, &user, 6).await;
    let place = offset(&*bus, &user).await;
    assert_eq!(
        place.seq, 6,
        "each event has one place, however often its publisher tried"
    );
    ear.until(&place).await;
}

#[tokio::test]
async fn a_link_that_is_cut_for_a_while_is_found_again() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.addr()).await;
    let bus = connect(&format!("redis://{}", proxy.addr()), "pn").await;
    let user = user("GEN-001");
    let mut ear = Ear::open(&*bus).await;
    ear.feed.subscribe(&user).await.unwrap();
    proxy.refuse(true);
    proxy.cut();
    until_live(&*bus, &ear, false).await;
    proxy.refuse(false);
    ear.missed().await;
    until_live(&*bus, &ear, true).await;
    let place = publish(&*bus, &user, 1).await;
    ear.until(&place).await;
}

#[tokio::test]
async fn a_subscription_asked_for_during_an_outage_holds_afterwards() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.addr()).await;
    let bus = connect(&format!("redis://{}", proxy.addr()), "pn").await;
    let user = user("GEN-001");
    let mut ear = Ear::open(&*bus).await;
    proxy.refuse(true);
    proxy.cut();
    assert!(ear.feed.subscribe(&user).await.is_err());
    proxy.refuse(false);
    ear.missed().await;
    publish_surely(&*bus, &user, 1).await;
    assert_eq!(ear.next_seq().await, 1);
}

#[tokio::test]
async fn answers_are_heard_again_after_a_killed_connection() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let node = crate::sample::node("gw-1");
    let mut replies = bus.subscribe_replies(&node).await.unwrap();
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    let reply = crate::sample::reply("j-1");
    wait::until_true("an answer to be heard", wait::deadline(), async || {
        bus.reply(&node, &reply).await.unwrap();
        replies.try_recv().is_ok()
    })
    .await;
}
