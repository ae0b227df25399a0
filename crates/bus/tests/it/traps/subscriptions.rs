//! Subscriptions: fred confirms before the server does, restores unsubscribed channels, and stalls the server with one command.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join_all;
use protocol::id::UserId;
use testkit::{Redis, wait};

use crate::nodes::{TestSubscriptions, connect};
use crate::sample::{publish, user};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_published_after_confirmation_is_received() {
    let redis = Redis::start().await;
    let listening = connect(&redis.url(), "pn").await;
    let publishing = connect(&redis.url(), "pn").await;
    let mut subscriptions = TestSubscriptions::open(&*listening).await;
    let subscribed = join_all(users(2000).map(|user| {
        let (feed, publishing) = (Arc::clone(&subscriptions.handle), Arc::clone(&publishing));
        async move {
            feed.subscribe(&user).await.unwrap();
            publish(&*publishing, &user, 1).await;
        }
    }));
    subscribed.await;
    for _ in 0..2000 {
        assert_eq!(subscriptions.next_seq().await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channel_unsubscribed_during_a_reconnect_stays_unsubscribed() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    let users: Vec<UserId> = users(5000).collect();
    join_all(users.iter().map(|user| subscriptions.handle.subscribe(user))).await;
    let (left, kept) = users.split_at(2500);

    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    let mut leaving = left.iter();
    wait::until_true("the channels to be restored", wait::deadline(), async || {
        leaving
            .by_ref()
            .take(50)
            .for_each(|user| subscriptions.handle.unsubscribe(user));
        leaving.len() == 0 && subscribed(&redis).await.len() == kept.len()
    })
    .await;
    subscriptions.missed().await;
    let expected: HashSet<String> = kept.iter().map(|user| format!("pn:{{{user}}}:ev")).collect();
    assert_eq!(subscribed(&redis).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restoring_100_000_subscriptions_does_not_stall_the_server() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    let users: Vec<UserId> = users(100_000).collect();
    for users in users.chunks(5000) {
        let outcomes = join_all(users.iter().map(|user| subscriptions.handle.subscribe(user))).await;
        assert!(outcomes.iter().all(Result::is_ok));
    }
    redis.command(&["CONFIG", "RESETSTAT"]).await;
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    subscriptions.missed().await;
    assert_eq!(subscribed(&redis).await.len(), users.len());
    // One SSUBSCRIBE of all channels stalls the server for 110 ms; batches have at most 512.
    let stats = redis.command(&["INFO", "commandstats"]).await;
    let calls = stats
        .split("cmdstat_ssubscribe:calls=")
        .nth(1)
        .and_then(|rest| rest.split(',').next());
    let calls: usize = calls.unwrap().parse().unwrap();
    assert!(calls >= users.len() / 512, "{calls}");

    let offset = publish(&*bus, &users[77_777], 1).await;
    subscriptions.until(&offset).await;
}

#[tokio::test]
async fn dropped_subscriptions_close_their_connection() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let subscriptions = TestSubscriptions::open(&*bus).await;
    subscriptions.handle.subscribe(&user("GEN-001")).await.unwrap();
    drop(subscriptions);
    wait::until_true("the connection to be closed", wait::deadline(), async || {
        redis.command(&["PUBSUB", "SHARDCHANNELS"]).await.is_empty()
    })
    .await;
}

fn users(count: usize) -> impl Iterator<Item = UserId> {
    (0..count).map(|number| user(&format!("user-{number}")))
}

/// Subscribed user channels, by the server's own count.
async fn subscribed(redis: &Redis) -> HashSet<String> {
    let channels = redis.command(&["PUBSUB", "SHARDCHANNELS", "pn:*:ev"]).await;
    channels.lines().map(str::to_owned).collect()
}
