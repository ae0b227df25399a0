//! Subscriptions: fred says so before the server does, brings back what was dropped, and stalls the server with all of them.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join_all;
use protocol::id::UserId;
use testkit::{Redis, wait};

use crate::nodes::{Ear, connect};
use crate::sample::{publish, user};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_after_a_subscription_was_confirmed_is_heard() {
    let redis = Redis::start().await;
    let listening = connect(&redis.url(), "pn").await;
    let publishing = connect(&redis.url(), "pn").await;
    let mut ear = Ear::open(&*listening).await;
    let subscribed = join_all(users(2000).map(|user| {
        let (feed, publishing) = (Arc::clone(&ear.feed), Arc::clone(&publishing));
        async move {
            feed.subscribe(&user).await.unwrap();
            publish(&*publishing, &user, 1).await;
        }
    }));
    subscribed.await;
    for _ in 0..2000 {
        assert_eq!(ear.next_seq().await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unsubscribed_during_a_renewal_stays_so() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let mut ear = Ear::open(&*bus).await;
    let users: Vec<UserId> = users(5000).collect();
    join_all(users.iter().map(|user| ear.feed.subscribe(user))).await;
    let (left, kept) = users.split_at(2500);

    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    let mut leaving = left.iter();
    wait::until_true("the renewal to be over", wait::deadline(), async || {
        leaving.by_ref().take(50).for_each(|user| ear.feed.unsubscribe(user));
        leaving.len() == 0 && subscribed(&redis).await.len() == kept.len()
    })
    .await;
    ear.missed().await;
    let expected: HashSet<String> = kept.iter().map(|user| format!("pn:{{{user}}}:ev")).collect();
    assert_eq!(subscribed(&redis).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_subscriptions_are_renewed_without_stalling_the_server() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let mut ear = Ear::open(&*bus).await;
    let users: Vec<UserId> = users(100_000).collect();
    for users in users.chunks(5000) {
        let outcomes = join_all(users.iter().map(|user| ear.feed.subscribe(user))).await;
        assert!(outcomes.iter().all(Result::is_ok));
    }
    redis.command(&["CONFIG", "RESETSTAT"]).await;
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    ear.missed().await;
    assert_eq!(subscribed(&redis).await.len(), users.len());
    // One SSUBSCRIBE of all of them stalls everyone else for 110 ms; batches are of 512 at most.
    let stats = redis.command(&["INFO", "commandstats"]).await;
    let calls = stats
        .split("cmdstat_ssubscribe:calls=")
        .nth(1)
        .and_then(|rest| rest.split(',').next());
    let calls: usize = calls.unwrap().parse().unwrap();
    assert!(calls >= users.len() / 512, "{calls}");

    let place = publish(&*bus, &users[77_777], 1).await;
    ear.until(&place).await;
}

#[tokio::test]
async fn a_feed_that_nobody_listens_to_is_closed() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let ear = Ear::open(&*bus).await;
    ear.feed.subscribe(&user("GEN-001")).await.unwrap();
    drop(ear);
    wait::until_true("the connection to be closed", wait::deadline(), async || {
        redis.command(&["PUBSUB", "SHARDCHANNELS"]).await.is_empty()
    })
    .await;
}

fn users(count: usize) -> impl Iterator<Item = UserId> {
    (0..count).map(|number| user(&format!("user-{number}")))
}

/// The channels of users that anyone is subscribed to, by the server's own account.
async fn subscribed(redis: &Redis) -> HashSet<String> {
    let channels = redis.command(&["PUBSUB", "SHARDCHANNELS", "pn:*:ev"]).await;
    channels.lines().map(str::to_owned).collect()
}
