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
    for users in users.chunks(1000) {
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

/// Trap: fred expects no reply to SUNSUBSCRIBE, and takes a refusal of it for the reply to the next command. A cluster refuses channels of
/// several slots in one.
#[tokio::test]
async fn channels_of_several_slots_are_unsubscribed_on_a_cluster_node() {
    let redis = cluster_node().await;
    let bus = connect(&redis.url(), "pn").await;
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    let users: Vec<UserId> = users(50).collect();
    join_all(users.iter().map(|user| subscriptions.handle.subscribe(user))).await;
    let (left, kept) = users.split_at(25);
    left.iter().for_each(|user| subscriptions.handle.unsubscribe(user));
    wait::until_true("the channels to be unsubscribed", wait::deadline(), async || {
        subscribed(&redis).await.len() == kept.len()
    })
    .await;
    for user in left {
        subscriptions.handle.subscribe(user).await.unwrap();
        publish(&*bus, user, 1).await;
        assert_eq!(subscriptions.next_seq().await, 1);
    }
}

/// Trap: fred drops the message by which a server ends subscriptions, such as those of a slot that leaves it.
#[tokio::test]
async fn channel_whose_slot_left_the_server_and_returned_is_subscribed_again() {
    let redis = cluster_node().await;
    let bus = connect(&redis.url(), "pn").await;
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    let users: Vec<UserId> = users(50).collect();
    join_all(users.iter().map(|user| subscriptions.handle.subscribe(user))).await;
    let slot = redis.command(&["CLUSTER", "KEYSLOT", "pn:{user-7}:ev"]).await;
    for command in ["DELSLOTS", "ADDSLOTS"] {
        redis.command(&["CLUSTER", command, &slot]).await;
    }
    assert!(!subscribed(&redis).await.contains("pn:{user-7}:ev"));

    subscriptions.missed().await;
    assert_eq!(subscribed(&redis).await.len(), users.len());
    let offset = publish(&*bus, &users[7], 1).await;
    assert!(subscriptions.receives_before_missed(&offset).await);
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

/// Cluster of one node, which serves its slots also while others have no owner.
async fn cluster_node() -> Redis {
    let redis = Redis::start_with(&["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no"]).await;
    redis.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    wait::until_true("the node to have all slots", wait::deadline(), async || {
        redis.command(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok")
    })
    .await;
    redis
}

fn users(count: usize) -> impl Iterator<Item = UserId> {
    (0..count).map(|number| user(&format!("user-{number}")))
}

/// Subscribed user channels, by the server's own count.
async fn subscribed(redis: &Redis) -> HashSet<String> {
    let channels = redis.command(&["PUBSUB", "SHARDCHANNELS", "pn:*:ev"]).await;
    channels.lines().map(str::to_owned).collect()
}
