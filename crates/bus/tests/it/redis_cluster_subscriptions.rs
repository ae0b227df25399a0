//! Subscriptions over a Redis Cluster: channels follow their slots, and each loss is reported to the users whom it concerns.

mod tracker;

use std::collections::HashSet;
use std::time::Duration;

use bus::{ChannelMessage, SessionKey};
use futures_util::future::join_all;
use protocol::id::{SessionId, UserId};
use testkit::redis::Failover;
use testkit::{RedisCluster, wait};
use tokio::time::timeout;

use self::tracker::Tracker;
use crate::nodes::{TestSubscriptions, connect, until_live};
use crate::sample::{event, user};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_migrate_under_load_lose_no_event_without_a_notice() {
    let cluster = RedisCluster::start().await;
    let bus = connect(&cluster.url(), "pn").await;
    let users = users(24);
    let tracker = Tracker::open(&bus, &users).await;
    let moving = &users[..3];
    let (migrated, published) = tokio::join!(
        async {
            let mut slots = HashSet::new();
            for user in moving {
                let slot = slot(&cluster, user).await;
                let to = (cluster.primary_of(slot).await + 1) % 3;
                cluster.migrate(slot, to).await;
                slots.insert(slot);
            }
            slots
        },
        tracker.publish_to_all_until(async || moving.iter().all(|user| tracker.was_notified(user)))
    );
    assert!(published > 0);
    tracker.until_all_receive().await;
    for user in &users {
        let has_moved = migrated.contains(&slot(&cluster, user).await);
        assert_eq!(tracker.was_notified(user), has_moved, "{user}");
    }
    assert!(tracker.handle().is_live());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failover_is_reported_to_the_users_of_that_primary_alone() {
    let cluster = RedisCluster::start().await;
    let bus = connect(&cluster.url(), "pn").await;
    let users = users(24);
    let tracker = Tracker::open(&bus, &users).await;
    let concerned = of_primary(&cluster, &users, 1).await;
    let replica = cluster.replica_of(1).await;
    tokio::join!(
        cluster.failover(replica, Failover::Agreed),
        tracker.publish_to_all_until(async || concerned.iter().all(|user| tracker.was_notified(user)))
    );
    tracker.until_all_receive().await;
    for user in &users {
        assert_eq!(tracker.was_notified(user), concerned.contains(user), "{user}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_primary_silences_its_own_users_alone() {
    let mut cluster = RedisCluster::start_with(&["--cluster-require-full-coverage", "no"]).await;
    let bus = connect(&cluster.url(), "pn").await;
    let users = users(24);
    let tracker = Tracker::open(&bus, &users).await;
    let concerned = of_primary(&cluster, &users, 0).await;
    let others: Vec<UserId> = users.iter().filter(|user| !concerned.contains(user)).cloned().collect();
    let lost = slot(&cluster, concerned.iter().next().unwrap()).await;
    cluster.node_mut(0).kill().await;
    tracker.until_each_receives(&others).await;
    cluster.until_replaced(0, lost).await;
    tracker
        .publish_to_all_until(async || concerned.iter().all(|user| tracker.was_notified(user)))
        .await;
    tracker.until_all_receive().await;
    for user in &users {
        assert_eq!(tracker.was_notified(user), concerned.contains(user), "{user}");
    }
    wait::until_true("the subscriptions to be live", wait::deadline(), async || {
        tracker.handle().is_live()
    })
    .await;
}

#[tokio::test]
async fn slot_that_left_its_primary_and_returned_is_subscribed_again() {
    let cluster = RedisCluster::start().await;
    let bus = connect(&cluster.url(), "pn").await;
    let users = users(6);
    let tracker = Tracker::open(&bus, &users).await;
    let slot = slot(&cluster, &users[0]).await;
    let home = cluster.primary_of(slot).await;
    // Usually between two reads of the map, and always between two probe messages on the channels of the others.
    cluster.migrate(slot, (home + 1) % 3).await;
    cluster.migrate(slot, home).await;
    wait::until_true("the loss to be reported", wait::deadline(), async || {
        tracker.read();
        tracker.was_notified(&users[0])
    })
    .await;
    tracker.until_all_receive().await;
}

/// Trap: a server that has lost a slot refuses to unsubscribe its channels, which fred takes for the reply to the next command.
#[tokio::test]
async fn unsubscription_of_a_slot_that_has_just_moved_confuses_no_other_subscription() {
    let cluster = RedisCluster::start().await;
    let bus = connect(&cluster.url(), "pn").await;
    let users = users(80);
    let (subscribed_first, joining) = users.split_at(40);
    let tracker = Tracker::open(&bus, subscribed_first).await;
    let mut pairs = subscribed_first.iter().zip(joining);
    // The command is not sent if the map was read in between.
    while refused_unsubscriptions(&cluster).await < 3 {
        let (leaving, joining) = pairs.next().expect("no unsubscription was refused");
        let slot = slot(&cluster, leaving).await;
        cluster.migrate(slot, (cluster.primary_of(slot).await + 1) % 3).await;
        tracker.unsubscribe(leaving);
        tracker.subscribe(joining).await;
    }
    tracker.until_all_receive().await;
    let expected: HashSet<String> = tracker.users().iter().map(channel).collect();
    wait::until_true("the channels to be those of the users", wait::deadline(), async || {
        subscribed(&cluster).await == expected
    })
    .await;
}

#[tokio::test]
async fn subscription_of_a_slot_that_has_just_moved_is_confirmed_by_the_new_owner() {
    let cluster = RedisCluster::start().await;
    let bus = connect(&cluster.url(), "pn").await;
    let users = users(8);
    let tracker = Tracker::open(&bus, &[]).await;
    for user in &users {
        let slot = slot(&cluster, user).await;
        let to = (cluster.primary_of(slot).await + 1) % 3;
        cluster.migrate(slot, to).await;
        tracker.subscribe(user).await;
        let at_owner = cluster
            .node(to)
            .command(&["PUBSUB", "SHARDNUMSUB", &channel(user)])
            .await;
        assert_eq!(at_owner.lines().nth(1), Some("1"), "{user}");
    }
    tracker.until_all_receive().await;
    assert!(
        users.iter().all(|user| !tracker.was_notified(user)),
        "nobody lost anything"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_primaries_get_10_000_channels_back() {
    let mut cluster = RedisCluster::start().await;
    let bus = connect(&cluster.url(), "pn").await;
    let users = users(10_000);
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    for users in users.chunks(1000) {
        let outcomes = join_all(users.iter().map(|user| subscriptions.handle.subscribe(user))).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }
    for node in 0..3 {
        cluster.node_mut(node).restart().await;
    }
    let mut silent: HashSet<UserId> = users.iter().cloned().collect();
    let all_notified = async {
        while !silent.is_empty() {
            match subscriptions.next().await {
                ChannelMessage::Missed => silent.clear(),
                ChannelMessage::MissedOf(users) => {
                    for user in users {
                        silent.remove(&user);
                    }
                }
                _ => {}
            }
        }
    };
    timeout(3 * wait::deadline(), all_notified).await.unwrap();
    let expected: HashSet<String> = users.iter().map(channel).collect();
    wait::until_true("all channels to be restored", 2 * wait::deadline(), async || {
        subscribed(&cluster).await == expected
    })
    .await;
    until_live(&*bus, &subscriptions, true).await;
    let mut number = 0;
    for user in [&users[0], &users[3_333], &users[9_999]] {
        wait::until_true("an event to arrive", wait::deadline(), async || {
            number += 1;
            drop(bus.publish(user, &event(number)).await);
            while let Ok(message) = timeout(Duration::from_millis(100), subscriptions.next()).await {
                if matches!(message, ChannelMessage::Event { user: of, .. } if of == *user) {
                    return true;
                }
            }
            false
        })
        .await;
    }
}

#[tokio::test]
async fn keys_that_expire_at_any_primary_are_notified_also_after_a_failover() {
    let cluster = RedisCluster::start().await;
    let bus = connect(&cluster.url(), "pn").await;
    let mut expiries = bus.expiries();
    let users = users(12);
    for round in 0..2 {
        let mut primaries = HashSet::new();
        for user in &users {
            let key = format!("pn:{{{user}}}:s:s-{round}");
            primaries.insert(cluster.primary_of(cluster.slot_of(&key).await).await);
            let expected = SessionKey {
                user: user.clone(),
                session: SessionId::new(format!("s-{round}")).unwrap(),
            };
            wait::until_true("a notification", wait::deadline(), async || {
                cluster.command_for(&key, &["SET", &key, "", "PX", "1"]).await;
                cluster.command_for(&key, &["EXISTS", &key]).await;
                std::iter::from_fn(|| expiries.try_recv().ok()).any(|read| read == expected)
            })
            .await;
        }
        assert_eq!(primaries.len(), 3);
        if round == 0 {
            cluster.failover(cluster.replica_of(2).await, Failover::Agreed).await;
        }
    }
}

fn users(count: usize) -> Vec<UserId> {
    (0..count).map(|number| user(&format!("user-{number}"))).collect()
}

fn channel(user: &UserId) -> String {
    format!("pn:{{{user}}}:ev")
}

async fn slot(cluster: &RedisCluster, user: &UserId) -> u16 {
    cluster.slot_of(&channel(user)).await
}

/// Users whose slots this node owns.
async fn of_primary(cluster: &RedisCluster, users: &[UserId], primary: usize) -> HashSet<UserId> {
    let mut owned = HashSet::new();
    for user in users {
        if cluster.primary_of(slot(cluster, user).await).await == primary {
            owned.insert(user.clone());
        }
    }
    assert!(!owned.is_empty() && owned.len() < users.len());
    owned
}

/// Number of unsubscriptions that nodes have refused.
async fn refused_unsubscriptions(cluster: &RedisCluster) -> u64 {
    let mut refused = 0;
    for node in 0..3 {
        let stats = cluster.node(node).command(&["INFO", "commandstats"]).await;
        let line = stats.lines().find(|line| line.starts_with("cmdstat_sunsubscribe:"));
        let calls = line.and_then(|line| line.split("rejected_calls=").nth(1)?.split(',').next());
        refused += calls.map_or(0, |calls| calls.parse().unwrap());
    }
    refused
}

/// User channels that are subscribed at the primaries, by their own count.
async fn subscribed(cluster: &RedisCluster) -> HashSet<String> {
    let mut channels = HashSet::new();
    for primary in cluster.primaries().await {
        let listed = cluster
            .node(primary)
            .command(&["PUBSUB", "SHARDCHANNELS", "pn:*:ev"])
            .await;
        channels.extend(listed.lines().map(str::to_owned));
    }
    channels
}
