//! Connections that answer commands and deliver no messages: only an overdue probe message reveals them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use testkit::{Redis, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::nodes::{TestSubscriptions, connect, until_live};
use crate::sample::{publish, user};

#[tokio::test]
async fn subscriber_without_messages_is_replaced() {
    let redis = Redis::start().await;
    let relay = Relay::start(redis.addr()).await;
    let bus = connect(&format!("redis://{}", relay.addr), "pn").await;
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    subscriptions.handle.subscribe(&user).await.unwrap();
    relay.drop_messages();
    publish(&*bus, &user, 1).await;
    subscriptions.missed().await;
    until_live(&*bus, &subscriptions, true).await;
    let offset = publish(&*bus, &user, 2).await;
    subscriptions.until(&offset).await;
}

#[tokio::test]
async fn refused_subscriptions_are_retried() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    subscriptions.handle.subscribe(&user).await.unwrap();
    // Redis closes the connections whose channels are forbidden from now on.
    redis.command(&["ACL", "SETUSER", "default", "resetchannels"]).await;
    wait::until_true("the subscriptions not to be live", wait::deadline(), async || {
        !subscriptions.handle.is_live()
    })
    .await;
    redis.command(&["ACL", "SETUSER", "default", "allchannels"]).await;
    subscriptions.missed().await;
    let offset = publish(&*bus, &user, 1).await;
    subscriptions.until(&offset).await;
}

/// Relay that can drop the channel messages of its open connections.
struct Relay {
    addr: SocketAddr,
    muted: Arc<AtomicU64>,
    accepted: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Relay {
    async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (muted, accepted) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, upstream, Arc::clone(&muted), Arc::clone(&accepted)));
        Self {
            addr,
            muted,
            accepted,
            _tasks: tasks,
        }
    }

    fn drop_messages(&self) {
        self.muted.store(self.accepted.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, muted: Arc<AtomicU64>, accepted: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let number = accepted.fetch_add(1, Ordering::SeqCst) + 1;
        let muted = Arc::clone(&muted);
        connections.spawn(async move {
            let server = TcpStream::connect(upstream).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let requests = copy(&mut from_client, &mut to_server);
            let answers = async {
                let mut piece = vec![0; 64 * 1024];
                while let Ok(length @ 1..) = from_server.read(&mut piece).await {
                    let mut piece = piece[..length].to_vec();
                    if number <= muted.load(Ordering::SeqCst) {
                        piece = without_messages(&piece);
                    }
                    if to_client.write_all(&piece).await.is_err() {
                        break;
                    }
                }
            };
            tokio::join!(async { drop(requests.await) }, answers);
        });
    }
}

/// Removes each `smessage` push (RESP 3): a header, then channel and message, each a length and a text.
fn without_messages(piece: &[u8]) -> Vec<u8> {
    const HEAD: &[u8] = b">3\r\n$8\r\nsmessage\r\n";
    let Some(start) = piece.windows(HEAD.len()).position(|window| window == HEAD) else {
        return piece.to_vec();
    };
    let mut rest = &piece[start + HEAD.len()..];
    for _ in 0..2 {
        let line = rest.iter().position(|byte| *byte == b'\n').unwrap();
        let length: usize = str::from_utf8(&rest[1..line - 1]).unwrap().parse().unwrap();
        rest = &rest[line + 1 + length + 2..];
    }
    [&piece[..start], &without_messages(rest)].concat()
}
