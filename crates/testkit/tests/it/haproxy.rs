//! Real HAProxy: health checks, PROXY protocol, sessions of servers that are taken out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::haproxy::{HaProxy, Listen, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// Server that sends back what it receives, and its health.
struct Echo {
    server: Server,
    healthy: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl Echo {
    async fn start() -> Self {
        let bind = async || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (echo, health) = (bind().await, bind().await);
        let server = Server {
            addr: echo.local_addr().unwrap(),
            health: health.local_addr().unwrap(),
        };
        let healthy = Arc::new(AtomicBool::new(true));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = echo.accept().await {
                connections.spawn(async move {
                    let (mut from, mut to) = stream.split();
                    drop(tokio::io::copy(&mut from, &mut to).await);
                });
            }
        });
        tasks.spawn(answer_checks(health, Arc::clone(&healthy)));
        Self {
            server,
            healthy,
            _tasks: tasks,
        }
    }
}

async fn answer_checks(listener: TcpListener, healthy: Arc<AtomicBool>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut request = [0; 1024];
        drop(stream.read(&mut request).await);
        let status = if healthy.load(Ordering::SeqCst) { 200 } else { 503 };
        let answer = format!("HTTP/1.1 {status} -\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        drop(stream.write_all(answer.as_bytes()).await);
    }
}

async fn connect(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((IpAddr::from(from), 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// Sends `hello` and returns what comes back up to that.
async fn echoed(stream: &mut TcpStream) -> Vec<u8> {
    stream.write_all(b"hello").await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"hello") {
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0);
    }
    received
}

#[tokio::test]
async fn client_address_is_sent_in_front_of_a_connection() {
    let echo = Echo::start().await;
    let plain = Listen::before([echo.server], INTERVAL);
    let haproxy = HaProxy::start(&[plain.clone(), plain.proxy_protocol()]).await;
    assert_eq!(
        echoed(&mut connect([127, 0, 0, 9], haproxy.addr(0)).await).await,
        b"hello"
    );
    let mut client = connect([127, 0, 0, 9], haproxy.addr(1)).await;
    let received = echoed(&mut client).await;
    // PROXY protocol version 2: signature, version and command, TCP over IPv4, length; then the addresses and ports.
    assert_eq!(received[..12], *b"\r\n\r\n\0\r\nQUIT\n");
    assert_eq!(received[12..14], [0x21, 0x11]);
    assert_eq!(received[16..24], [127, 0, 0, 9, 127, 0, 0, 1]);
    let port = client.local_addr().unwrap().port();
    assert_eq!(received[24..26], port.to_be_bytes());
}

#[tokio::test]
async fn unhealthy_server_gets_no_new_connection_and_keeps_its_old_ones() {
    let (one, other) = (Echo::start().await, Echo::start().await);
    let haproxy = HaProxy::start(&[Listen::before([one.server, other.server], INTERVAL)]).await;
    let mut old = connect([127, 0, 0, 1], haproxy.addr(0)).await;
    echoed(&mut old).await;
    let before = haproxy.counts(0, 0).await.connections;
    one.healthy.store(false, Ordering::SeqCst);
    haproxy.until_up(0, 0, false).await;
    for _ in 0..4 {
        echoed(&mut connect([127, 0, 0, 1], haproxy.addr(0)).await).await;
    }
    assert_eq!(haproxy.counts(0, 0).await.connections, before);
    echoed(&mut old).await;
    one.healthy.store(true, Ordering::SeqCst);
    haproxy.until_up(0, 0, true).await;
}

#[tokio::test]
async fn sessions_of_a_server_that_is_taken_out_end_where_that_is_configured() {
    let echo = Echo::start().await;
    let listen = Listen::before([echo.server], INTERVAL).shutdown_sessions();
    let haproxy = HaProxy::start(&[listen]).await;
    let mut client = connect([127, 0, 0, 1], haproxy.addr(0)).await;
    echoed(&mut client).await;
    echo.healthy.store(false, Ordering::SeqCst);
    let ended = tokio::time::timeout(testkit::wait::deadline(), client.read(&mut [0; 16])).await;
    assert!(matches!(ended.unwrap(), Ok(0) | Err(_)));
    assert!(haproxy.logs().contains("is DOWN"), "{}", haproxy.logs());
}

#[tokio::test]
async fn refused_connection_is_not_offered_to_another_server() {
    let (echo, gone) = (Echo::start().await, Echo::start().await);
    let refusing = Server {
        addr: testkit::port::Port::claim().addr(),
        health: gone.server.health,
    };
    let haproxy = HaProxy::start(&[Listen::before([refusing, echo.server], INTERVAL)]).await;
    let mut refused = 0;
    for _ in 0..4 {
        let mut client = connect([127, 0, 0, 1], haproxy.addr(0)).await;
        drop(client.write_all(b"hello").await);
        refused += u64::from(!matches!(client.read(&mut [0; 16]).await, Ok(5)));
    }
    assert!(refused > 0);
    assert_eq!(haproxy.counts(0, 0).await.refused, refused);
}

const INTERVAL: Duration = Duration::from_millis(100);
