//! Nodes of a cluster that redirect commands in circles, or to servers that are none of the cluster.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bus::BusError;
use testkit::{RedisCluster, wait};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::redis_cluster::{ClusterNode, user_of};
use crate::sample::{event, publish};

/// Two nodes of which each names the other one as owner.
#[tokio::test]
async fn redirections_in_circles_end_in_bounded_time_and_number() {
    let cluster = RedisCluster::start().await;
    let node = ClusterNode::connect(&cluster.url()).await;
    let (owner, slot) = user_of(&cluster, 0).await;
    let (other, _) = user_of(&cluster, 2).await;
    disown(&cluster, 0, slot, 1).await;

    let published = timeout(2 * wait::deadline(), node.bus.publish(&owner, &event(1))).await;
    let error = published
        .expect("the command ends")
        .expect_err("nobody serves the slot");
    assert!(matches!(error, BusError::Unavailable { .. }), "{error:?}");
    let moved = node.redirects("moved");
    assert!((3..100).contains(&moved), "{moved} redirections");
    publish(&*node.bus, &other, 1).await;
}

/// A node that names a server of an attacker. Its replies pass a proxy that rewrites redirections.
#[tokio::test]
async fn server_outside_of_the_cluster_is_never_connected_to() {
    let cluster = RedisCluster::start().await;
    let thief = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let liar = RedirectingProxy::start(cluster.node(0).addr(), thief.local_addr().unwrap()).await;
    // The other nodes name the proxy from then on.
    let port = liar.address.port().to_string();
    cluster
        .node(0)
        .command(&["CONFIG", "SET", "cluster-announce-port", &port])
        .await;
    wait::until_true("the nodes to name the proxy", 2 * wait::deadline(), async || {
        for index in 1..6 {
            let nodes = cluster.node(index).command(&["CLUSTER", "NODES"]).await;
            if !nodes.contains(&format!(":{port}@")) {
                return false;
            }
        }
        true
    })
    .await;
    let node = ClusterNode::connect(&format!("redis-cluster://{}", cluster.node(1).addr())).await;
    let (owner, slot) = user_of(&cluster, 0).await;
    disown(&cluster, 0, slot, 1).await;

    let published = timeout(2 * wait::deadline(), node.bus.publish(&owner, &event(1))).await;
    published
        .expect("the command ends")
        .expect_err("nobody serves the slot");
    assert!(node.redirects("moved") > 0);
    let accepted = timeout(Duration::from_millis(100), thief.accept()).await;
    assert!(accepted.is_err(), "the node has connected to the thief");
}

/// Has a node name another one as owner of a slot of its, which has no keys. All others go on to name this one.
async fn disown(cluster: &RedisCluster, index: usize, slot: u16, to: usize) {
    let id = cluster.node(to).command(&["CLUSTER", "MYID"]).await;
    let set = ["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &id];
    cluster.node(index).command(&set).await;
}

/// Proxy to a node of a cluster whose redirections all name another server. It ends with this value.
struct RedirectingProxy {
    address: SocketAddr,
    _connections: JoinSet<()>,
}

impl RedirectingProxy {
    async fn start(node: SocketAddr, named: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(node) = TcpStream::connect(node).await {
                    open.spawn(forward(client, node, named));
                }
            }
        });
        Self {
            address,
            _connections: connections,
        }
    }
}

async fn forward(client: TcpStream, node: TcpStream, named: SocketAddr) {
    let ((mut from_client, mut to_client), (mut from_node, mut to_node)) = (client.into_split(), node.into_split());
    let requests = tokio::io::copy(&mut from_client, &mut to_node);
    let replies = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from_node.read(&mut buffer).await {
            // An error is smaller than a segment of loopback, and so arrives in one piece.
            match str::from_utf8(&buffer[..read]) {
                Ok(text) if text.contains("-MOVED ") => {
                    let lines = text
                        .split_inclusive("\r\n")
                        .map(|line| match line.strip_prefix("-MOVED ") {
                            Some(rest) => {
                                let slot = rest.split(' ').next().unwrap();
                                format!("-MOVED {slot} {named}\r\n")
                            }
                            None => line.to_owned(),
                        });
                    to_client.write_all(lines.collect::<String>().as_bytes()).await?;
                }
                _ => to_client.write_all(&buffer[..read]).await?,
            }
        }
        Ok::<_, io::Error>(())
    };
    let _ended = tokio::join!(requests, replies);
}
