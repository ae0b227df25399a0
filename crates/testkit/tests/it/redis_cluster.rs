//! Real Redis Cluster: its map of slots, migrations, and failovers.

use testkit::redis::Failover;
use testkit::tls::Authority;
use testkit::{RedisCluster, wait};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

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

#[tokio::test]
async fn nodes_with_tls_redirect_their_clients_to_tls_ports_and_copy_and_move_keys() {
    let authority = Authority::new();
    let gate = ["--user", "gate", "on", ">hunter2", "~*", "&*", "+@all"];
    let cluster = RedisCluster::start_with_tls(&authority, &gate).await;
    let (key, value) = ("{user}:one", "value");
    cluster.command_for(key, &["SET", key, value]).await;
    let slot = cluster.slot_of(key).await;
    let to = (cluster.primary_of(slot).await + 1) % 3;
    cluster.migrate(slot, to).await;
    let replica = cluster.node(cluster.replica_of(to).await);
    wait::until_true("the replica to have the key", wait::deadline(), async || {
        let keys = ["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()];
        replica.command(&keys).await == "1"
    })
    .await;

    let url = cluster.tls_url("gate", "hunter2");
    let addresses = url.strip_prefix("rediss-cluster://gate:hunter2@").unwrap();
    let addresses: Vec<&str> = addresses.split(',').collect();
    let reply = by_tls(
        &authority,
        addresses[(to + 1) % 3],
        "AUTH gate hunter2\r\nGET {user}:one\r\nQUIT\r\n",
    )
    .await;
    assert_eq!(reply, format!("+OK\r\n-MOVED {slot} {}\r\n+OK\r\n", addresses[to]));
    let reply = by_tls(
        &authority,
        addresses[to],
        "AUTH gate hunter2\r\nGET {user}:one\r\nQUIT\r\n",
    )
    .await;
    assert_eq!(reply, "+OK\r\n$5\r\nvalue\r\n+OK\r\n");
}

/// Replies of a node to requests by TLS with a client certificate.
async fn by_tls(authority: &Authority, address: &str, requests: &str) -> String {
    let client = authority.client_presenting(&authority.issue());
    let stream = TcpStream::connect(address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut stream = TlsConnector::from(client).connect(name, stream).await.unwrap();
    stream.write_all(requests.as_bytes()).await.unwrap();
    let mut replies = Vec::new();
    // Redis ends the connection without the closing message of TLS.
    drop(stream.read_to_end(&mut replies).await);
    String::from_utf8(replies).unwrap()
}
