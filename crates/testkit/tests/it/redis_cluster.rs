//! Real Redis Cluster: its map of slots, migrations, and failovers.

use testkit::RedisCluster;
use testkit::redis::Failover;

#[tokio::test]
async fn every_slot_has_a_primary_and_every_primary_a_replica() {
    let cluster = RedisCluster::shared().await;
    assert!(cluster.url().starts_with("redis-cluster://127.0.0.1:"));
    assert_eq!(cluster.url().split(',').count(), 6);
    assert_eq!(cluster.primaries().await, [0, 1, 2]);
    assert_eq!((cluster.primary_of(0).await, cluster.primary_of(5_461).await), (0, 1));
    assert_eq!(cluster.primary_of(16_383).await, 2);
    assert_eq!([cluster.replica_of(0).await, cluster.replica_of(2).await], [3, 5]);

    let prefix = cluster.prefix();
    for number in 0..20 {
        let key = format!("{prefix}:{number}");
        cluster
            .command_for(&key, &["SET", &key, &format!("value {number}")])
            .await;
    }
    let dump = cluster.dump(&prefix).await;
    assert!(
        (0..20).all(|number| dump.contains(&format!("value {number}\n"))),
        "{dump}"
    );
}

#[tokio::test]
async fn slot_moves_with_its_keys_and_redirects_commands_meanwhile() {
    let cluster = RedisCluster::start().await;
    let (key, absent) = ("{user}:one", "{user}:two");
    let slot = cluster.slot_of(key).await;
    let from = cluster.primary_of(slot).await;
    let to = (from + 1) % 3;
    cluster.command_for(key, &["SET", key, "value"]).await;

    cluster.open_migration(slot, to).await;
    assert_eq!(cluster.primary_of(slot).await, from);
    assert_eq!(cluster.node(from).command(&["GET", key]).await, "value");
    let redirected = cluster.node(from).try_command(&["GET", absent]).await.unwrap_err();
    assert_eq!(redirected, format!("ASK {slot} {}", cluster.node(to).addr()));
    assert_eq!(cluster.migrate_keys(slot, to).await, 1);
    cluster.close_migration(slot, to).await;

    assert_eq!(cluster.primary_of(slot).await, to);
    assert_eq!(cluster.node(to).command(&["GET", key]).await, "value");
    let redirected = cluster.node(from).try_command(&["GET", key]).await.unwrap_err();
    assert_eq!(redirected, format!("MOVED {slot} {}", cluster.node(to).addr()));

    cluster.open_migration(slot, from).await;
    cluster.abandon_migration(slot, from).await;
    assert_eq!(cluster.node(to).command(&["GET", absent]).await, "");
}

#[tokio::test]
async fn replica_replaces_its_primary_when_ordered_and_when_its_primary_is_killed_or_silent() {
    let mut cluster = RedisCluster::start().await;
    cluster.failover(3, Failover::Agreed).await;
    assert_eq!(
        (cluster.primaries().await, cluster.replica_of(3).await),
        (vec![1, 2, 3], 0)
    );
    cluster.failover(0, Failover::Takeover).await;
    assert_eq!(cluster.primaries().await, [0, 1, 2]);

    cluster.node_mut(1).kill().await;
    assert_eq!(cluster.until_replaced(1, 5_461).await, 4);
    cluster.node_mut(1).restart().await;
    cluster.until_agreed().await;
    assert_eq!(
        (cluster.primaries().await, cluster.replica_of(4).await),
        (vec![0, 2, 4], 1)
    );

    cluster.node_mut(4).pause();
    assert_eq!(cluster.until_replaced(4, 5_461).await, 1);
    cluster.node_mut(4).resume();
    cluster.until_agreed().await;
    assert_eq!(cluster.primaries().await, [0, 1, 2]);
}
