//! Connections that answer whatever they are asked, and are told nothing: only a word of one's own that does not come back tells.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use testkit::{Redis, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::nodes::{Ear, connect, until_live};
use crate::sample::{publish, user};

#[tokio::test]
async fn an_ear_that_is_told_nothing_is_noticed_and_replaced() {
    let redis = Redis::start().await;
    let relay = Relay::start(redis.addr()).await;
    let bus = connect(&format!("redis://{}", relay.addr), "pn").await;
    let user = user("GEN-001");
    let mut ear = Ear::open(&*bus).await;
    ear.feed.subscribe(&user).await.unwrap();
    relay.deafen();
    publish(&*bus, &user, 1).await;
    ear.missed().await;
    until_live(&*bus, &ear, true).await;
    let place = publish(&*bus, &user, 2).await;
    ear.until(&place).await;
}

#[tokio::test]
async fn subscriptions_that_are_refused_for_a_while_are_asked_for_again() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut ear = Ear::open(&*bus).await;
    ear.feed.subscribe(&user).await.unwrap();
    // Redis closes the connections whose channels are forbidden from now on.
    redis.command(&["ACL", "SETUSER", "default", "resetchannels"]).await;
    wait::until_true("the loss to be noticed", wait::deadline(), async || !ear.feed.is_live()).await;
    redis.command(&["ACL", "SETUSER", "default", "allchannels"]).await;
    ear.missed().await;
    let place = publish(&*bus, &user, 1).await;
    ear.until(&place).await;
}

/// Passes everything on but, once told, the messages to the connections there are.
struct Relay {
    addr: SocketAddr,
    deaf: Arc<AtomicU64>,
    accepted: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Relay {
    async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (deaf, accepted) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, upstream, Arc::clone(&deaf), Arc::clone(&accepted)));
        Self {
            addr,
            deaf,
            accepted,
            _tasks: tasks,
        }
    }

    fn deafen(&self) {
        self.deaf.store(self.accepted.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, deaf: Arc<AtomicU64>, accepted: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let number = accepted.fetch_add(1, Ordering::SeqCst) + 1;
        let deaf = Arc::clone(&deaf);
        connections.spawn(async move {
            let server = TcpStream::connect(upstream).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let requests = copy(&mut from_client, &mut to_server);
            let answers = async {
                let mut piece = vec![0; 64 * 1024];
                while let Ok(length @ 1..) = from_server.read(&mut piece).await {
                    let mut piece = piece[..length].to_vec();
                    if number <= deaf.load(Ordering::SeqCst) {
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

/// Leaves out each `smessage` push (RESP 3): a head, then channel and message, each a length and a text.
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
