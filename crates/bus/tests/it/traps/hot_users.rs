//! A user with thousands of events a second: each event as a script of its own kept Redis from all others.

use bus::{BusError, PublishOutcome};
use futures_util::future::join_all;
use testkit::Redis;

use crate::nodes::connect;
use crate::sample::{publish, publish_unrecorded, user};

/// Number of scripts that the server has run.
async fn scripts(redis: &Redis) -> u64 {
    let stats = redis.command(&["INFO", "commandstats"]).await;
    let calls = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    let calls = calls.and_then(|line| line.split(',').next());
    calls.unwrap().parse().unwrap()
}

#[tokio::test]
async fn events_of_a_hot_user_go_together_and_in_their_sequence() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let (hot, other) = (user("hot"), user("other"));
    publish(&*bus, &hot, 0).await;
    publish(&*bus, &other, 0).await;
    let before = scripts(&redis).await;
    let flood = join_all((1..=1_000).map(|number| publish_unrecorded(&*bus, &hot, number)));
    let (flood, beside) = tokio::join!(flood, publish_unrecorded(&*bus, &other, 1));
    for (seq, published) in (2..).zip(flood) {
        assert!(
            matches!(published.unwrap(), PublishOutcome::Assigned(offset) if offset.seq == seq),
            "{seq}"
        );
    }
    assert!(matches!(beside.unwrap(), PublishOutcome::Assigned(_)));
    // The first one alone, 32 in each of the others.
    let run = scripts(&redis).await - before;
    assert!(run <= 1 + 32 + 1, "{run} scripts");
}

#[tokio::test]
async fn events_of_a_hot_user_are_refused_above_a_number_that_waits_and_of_others_none() {
    let mut redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let (hot, other) = (user("hot"), user("other"));
    publish(&*bus, &hot, 0).await;
    redis.pause();
    let flood = join_all((1..=1_100).map(|number| publish_unrecorded(&*bus, &hot, number)));
    let (flood, beside) = tokio::join!(flood, publish_unrecorded(&*bus, &other, 1));
    redis.resume();
    let is_refused = |published: &Result<_, _>| matches!(published, Err(BusError::Busy));
    let refused = flood.iter().filter(|published| is_refused(published)).count();
    // One is in flight, and 1,024 wait.
    assert_eq!(refused, 75);
    assert!(flood.iter().take(1_025).all(|published| !is_refused(published)));
    assert!(!is_refused(&beside));
}
