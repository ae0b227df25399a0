//! Broken connections: fred without a reconnect policy hangs for ever.

use testkit::{Proxy, Redis, wait};

use crate::nodes::{TestSubscriptions, connect, until_live};
use crate::sample::{offset, publish, publish_with_retry, user};

#[tokio::test]
async fn killed_connection_recovers_for_publish_and_receive() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    subscriptions.handle.subscribe(&user).await.unwrap();
    for round in 1..=5 {
        redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        redis
            .command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
            .await;
        publish_with_retry(&*bus, &user, round).await;
        subscriptions.missed().await;
    }
    publish_with_retry(&*bus, &user, 6).await;
    let offset = offset(&*bus, &user).await;
    assert_eq!(offset.seq, 6, "one offset per event, however often it was retried");
    subscriptions.until(&offset).await;
}

#[tokio::test]
async fn interrupted_connection_recovers() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.addr()).await;
    let bus = connect(&format!("redis://{}", proxy.addr()), "pn").await;
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    subscriptions.handle.subscribe(&user).await.unwrap();
    proxy.refuse(true);
    proxy.cut();
    until_live(&*bus, &subscriptions, false).await;
    proxy.refuse(false);
    subscriptions.missed().await;
    until_live(&*bus, &subscriptions, true).await;
    let offset = publish(&*bus, &user, 1).await;
    subscriptions.until(&offset).await;
}

#[tokio::test]
async fn subscription_requested_in_an_outage_is_restored() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.addr()).await;
    let bus = connect(&format!("redis://{}", proxy.addr()), "pn").await;
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    proxy.refuse(true);
    proxy.cut();
    assert!(subscriptions.handle.subscribe(&user).await.is_err());
    proxy.refuse(false);
    subscriptions.missed().await;
    publish_with_retry(&*bus, &user, 1).await;
    assert_eq!(subscriptions.next_seq().await, 1);
}

#[tokio::test]
async fn replies_arrive_after_a_killed_connection() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let node = crate::sample::node("gw-1");
    let mut replies = bus.subscribe_replies(&node).await.unwrap();
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    let reply = crate::sample::reply("j-1");
    wait::until_true("a reply to arrive", wait::deadline(), async || {
        bus.reply(&node, &reply).await.unwrap();
        replies.try_recv().is_ok()
    })
    .await;
}
