//! Refusals of Redis: the errors of a starting or running node contain the server's error reply.

use std::net::SocketAddr;

use bus::RedisSettings;
use protocol::fault::chain;
use testkit::port::Port;
use testkit::{Redis, wait};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::nodes::connect_as;
use crate::sample::{event, user};

#[tokio::test]
async fn missing_permission_is_reported_as_noperm() {
    let redis = Redis::start().await;
    for (missing, rights) in [
        ("any channel", &["+@all", "~*", "resetchannels"][..]),
        ("our channels", &["+@all", "~*", "resetchannels", "&other:*"]),
        ("any key", &["+@all", "resetkeys", "&*"]),
        ("our keys", &["+@all", "~other:*", "&*"]),
        ("writes", &["+@all", "%R~*", "&*"]),
        ("scripts", &["+@all", "-@scripting", "~*", "&*"]),
        ("commands in scripts", &["+@all", "-del", "~*", "&*"]),
        ("announcements", &["+@all", "-spublish", "~*", "&*"]),
        ("subscriptions", &["+@all", "-ssubscribe", "~*", "&*"]),
        ("SELECT", &["+@all", "-select", "~*", "&*"]),
    ] {
        let mut command = vec!["ACL", "SETUSER", "gate", "reset", "on", ">right"];
        command.extend(rights);
        redis.command(&command).await;
        let message = failure(&format!("redis://gate:right@{}", redis.addr())).await;
        // Within a script Redis 7.0 replies with a sentence, and later servers with another one.
        let in_script = ["user executing the script can't", "ACL failure in script"];
        let named = message.contains("NOPERM") || in_script.iter().any(|sentence| message.contains(sentence));
        assert!(named && !message.contains("right@"), "{missing}: {message}");
    }
}

#[tokio::test]
async fn cluster_node_is_reported_by_its_redirection() {
    let (few, many) = (cluster_node().await, cluster_node().await);
    few.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "99"]).await;
    let message = failure(&few.url()).await;
    assert!(message.contains("CLUSTERDOWN"), "unassigned slots: {message}");

    many.command(&["CLUSTER", "ADDSLOTSRANGE", "100", "16383"]).await;
    few.command(&["CLUSTER", "MEET", "127.0.0.1", &many.port().to_string()])
        .await;
    wait::until_true("the nodes to form a cluster", wait::deadline(), async || {
        few.command(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok")
    })
    .await;
    let message = failure(&few.url()).await;
    assert!(
        message.contains("MOVED") && message.contains(&many.port().to_string()),
        "{message}"
    );
}

/// A proxy that renames the field, as no Redis leaves it out.
#[tokio::test]
async fn server_without_replication_id_is_refused_with_the_reason() {
    let redis = Redis::start().await;
    let proxy = RenamingProxy::start(redis.addr()).await;
    let message = failure(&format!("redis://{}", proxy.address)).await;
    assert!(
        message.contains("has no master_replid in INFO replication"),
        "{message}"
    );
}

/// Cluster node with all slots, which works like any Redis.
#[tokio::test]
async fn cluster_of_one_node_is_accepted() {
    let node = cluster_node().await;
    node.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    wait::until_true("the node to have all slots", wait::deadline(), async || {
        node.command(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok")
    })
    .await;
    let bus = connect_as(&settings(&node.url())).await.unwrap();
    bus.listen().await.unwrap();
}

#[tokio::test]
async fn missing_or_wrong_password_is_reported() {
    let redis = Redis::start().await;
    redis.command(&["ACL", "SETUSER", "default", "off"]).await;
    let message = failure(&redis.url()).await;
    assert!(message.contains("NOAUTH"), "{message}");
    let message = failure(&format!("redis://:hunter2@{}", redis.addr())).await;
    assert!(
        message.contains("WRONGPASS") && !message.contains("hunter2"),
        "{message}"
    );
}

#[tokio::test]
async fn replica_is_reported_as_read_only_or_masterdown() {
    let (redis, nobody) = (Redis::start().await, Port::claim());
    redis
        .command(&["REPLICAOF", "127.0.0.1", &nobody.number().to_string()])
        .await;
    let message = failure(&redis.url()).await;
    assert!(message.contains("READONLY"), "{message}");
    redis
        .command(&["CONFIG", "SET", "replica-serve-stale-data", "no"])
        .await;
    let message = failure(&redis.url()).await;
    assert!(message.contains("MASTERDOWN"), "{message}");
}

#[tokio::test]
async fn loading_redis_is_reported_as_loading() {
    let redis = Redis::start().await;
    redis.command(&["DEBUG", "POPULATE", "5000", "key", "200"]).await;
    redis
        .command(&["CONFIG", "SET", "loading-process-events-interval-bytes", "1024"])
        .await;
    redis.command(&["CONFIG", "SET", "key-load-delay", "5000"]).await;
    let observed = async {
        wait::until_true("Redis to load", wait::deadline(), async || {
            redis.command(&["INFO", "persistence"]).await.contains("loading:1")
        })
        .await;
        let message = failure(&redis.url()).await;
        redis.command(&["CONFIG", "SET", "key-load-delay", "0"]).await;
        message
    };
    let (message, _) = tokio::join!(observed, redis.command(&["DEBUG", "RELOAD"]));
    assert!(message.contains("LOADING"), "{message}");
}

/// Trap: while the server refuses the connection, commands only time out.
#[tokio::test]
async fn changed_password_is_reported_by_commands_of_a_running_node() {
    let redis = Redis::start().await;
    redis
        .command(&["ACL", "SETUSER", "gate", "on", ">right", "+@all", "~*", "&*"])
        .await;
    let bus = connect_as(&settings(&format!("redis://gate:right@{}", redis.addr())))
        .await
        .unwrap();
    redis.command(&["ACL", "SETUSER", "gate", "resetpass", ">other"]).await;
    redis.command(&["CLIENT", "KILL", "USER", "gate"]).await;
    wait::until_true("the refusal in the error", wait::deadline(), async || {
        let published = bus.publish(&user("GEN-001"), &event(1)).await;
        published.is_err_and(|error| chain(&error).contains("WRONGPASS"))
    })
    .await;
    assert!(!bus.is_live());
}

/// Error of a node that starts on this Redis and subscribes for its first user.
async fn failure(url: &str) -> String {
    let bus = match connect_as(&settings(url)).await {
        Ok(bus) => bus,
        Err(error) => return chain(&error),
    };
    let feed = match bus.listen().await {
        Ok((feed, _messages)) => feed,
        Err(error) => return chain(&error),
    };
    match feed.subscribe(&user("GEN-001")).await {
        Ok(()) => "no refusal".to_owned(),
        Err(error) => chain(&error),
    }
}

async fn cluster_node() -> Redis {
    Redis::start_with(&["--cluster-enabled", "yes"]).await
}

fn settings(url: &str) -> RedisSettings {
    RedisSettings::new(url.parse().unwrap())
}

/// Proxy to a Redis in whose replies `master_replid` has another name of the same length. It ends with this value.
struct RenamingProxy {
    address: SocketAddr,
    _connections: JoinSet<()>,
}

impl RenamingProxy {
    async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.unwrap();
                open.spawn(forward(client, server));
            }
        });
        Self {
            address,
            _connections: connections,
        }
    }
}

async fn forward(client: TcpStream, server: TcpStream) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let requests = tokio::io::copy(&mut from_client, &mut to_server);
    let replies = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            // INFO is smaller than a segment of loopback, and so arrives in one piece.
            let text = String::from_utf8_lossy(&buffer[..read]).replace("master_replid:", "master_nobody:");
            to_client.write_all(text.as_bytes()).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    let _ended = tokio::join!(requests, replies);
}
