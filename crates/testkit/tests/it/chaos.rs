//! Fault proxy: each fault as both ends observe it.

use std::io::ErrorKind;
use std::time::Duration;

use testkit::chaos::{Condition, Quality};
use testkit::{Proxy, wait};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Long enough for loopback to deliver pending bytes.
const A_MOMENT: Duration = Duration::from_millis(200);

/// Client and server with a proxy between them.
struct Pair {
    proxy: Proxy,
    listener: TcpListener,
    client: TcpStream,
    server: TcpStream,
}

impl Pair {
    async fn connect() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap()).await;
        let client = TcpStream::connect(proxy.addr()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        Self {
            proxy,
            listener,
            client,
            server,
        }
    }
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

async fn receive(stream: &mut TcpStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    tokio::time::timeout(wait::deadline(), stream.read_exact(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(bytes).unwrap()
}

async fn is_reset(stream: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(wait::deadline(), stream.read_u8()).await.unwrap();
    read.unwrap_err().kind() == ErrorKind::ConnectionReset
}

async fn is_silent(stream: &mut TcpStream) -> bool {
    tokio::time::timeout(A_MOMENT, stream.read_u8()).await.is_err()
}

#[tokio::test]
async fn bytes_pass_both_ways_and_are_counted() {
    let mut pair = Pair::connect().await;
    send(&mut pair.client, "question").await;
    assert_eq!(receive(&mut pair.server, 8).await, "question");
    send(&mut pair.server, "answer").await;
    assert_eq!(receive(&mut pair.client, 6).await, "answer");
    assert_eq!((pair.proxy.bytes_to_server(), pair.proxy.bytes_to_client()), (8, 6));
    assert_eq!((pair.proxy.connections(), pair.proxy.open_connections()), (1, 1));
}

#[tokio::test]
async fn orderly_end_is_forwarded() {
    let mut pair = Pair::connect().await;
    send(&mut pair.client, "last").await;
    pair.client.shutdown().await.unwrap();
    assert_eq!(receive(&mut pair.server, 4).await, "last");
    assert_eq!(pair.server.read(&mut [0]).await.unwrap(), 0);
    drop(pair.server);
    assert_eq!(pair.client.read(&mut [0]).await.unwrap(), 0);
    wait::until_true("the connection to be over", wait::deadline(), async || {
        pair.proxy.open_connections() == 0
    })
    .await;
}

#[tokio::test]
async fn cut_resets_both_ends_and_spares_the_next_connection() {
    let mut pair = Pair::connect().await;
    pair.proxy.cut();
    assert!(is_reset(&mut pair.client).await);
    assert!(is_reset(&mut pair.server).await);
    let mut client = TcpStream::connect(pair.proxy.addr()).await.unwrap();
    let (mut server, _) = pair.listener.accept().await.unwrap();
    send(&mut client, "again").await;
    assert_eq!(receive(&mut server, 5).await, "again");
}

#[tokio::test]
async fn frozen_link_forwards_no_byte_end_or_reset() {
    let mut pair = Pair::connect().await;
    // One round trip, so that the proxy already waits for the next byte of either side.
    send(&mut pair.client, "ping").await;
    assert_eq!(receive(&mut pair.server, 4).await, "ping");
    send(&mut pair.server, "pong").await;
    assert_eq!(receive(&mut pair.client, 4).await, "pong");
    pair.proxy.freeze();
    send(&mut pair.client, "held").await;
    assert!(is_silent(&mut pair.server).await);
    // The server disconnects: its end must not reach the client either.
    drop(pair.server);
    assert!(is_silent(&mut pair.client).await);
    send(&mut pair.client, "still writable").await;
    // A new connection is accepted and as silent; the server does not receive it.
    let mut late = TcpStream::connect(pair.proxy.addr()).await.unwrap();
    send(&mut late, "late").await;
    assert!(is_silent(&mut late).await);
    assert!(tokio::time::timeout(A_MOMENT, pair.listener.accept()).await.is_err());

    pair.proxy.thaw();
    let (mut server, _) = pair.listener.accept().await.unwrap();
    assert_eq!(receive(&mut server, 4).await, "late");
    assert!(
        !is_silent(&mut pair.client).await,
        "the end of the server is delivered after the thaw"
    );
}

#[tokio::test]
async fn blackholed_connections_are_silent_for_good_and_new_ones_work() {
    let mut pair = Pair::connect().await;
    pair.proxy.blackhole();
    send(&mut pair.client, "held").await;
    assert!(is_silent(&mut pair.server).await);
    send(&mut pair.server, "held").await;
    assert!(is_silent(&mut pair.client).await);

    let mut client = TcpStream::connect(pair.proxy.addr()).await.unwrap();
    let (mut server, _) = pair.listener.accept().await.unwrap();
    send(&mut client, "new").await;
    assert_eq!(receive(&mut server, 3).await, "new");
    pair.proxy.thaw();
    assert!(is_silent(&mut pair.server).await, "no thaw brings it back");
}

#[tokio::test]
async fn refusal_applies_to_new_connections_only() {
    let mut pair = Pair::connect().await;
    pair.proxy.refuse(true);
    let mut refused = TcpStream::connect(pair.proxy.addr()).await.unwrap();
    assert!(is_reset(&mut refused).await);
    send(&mut pair.client, "old").await;
    assert_eq!(receive(&mut pair.server, 3).await, "old");
    pair.proxy.refuse(false);
    let _client = TcpStream::connect(pair.proxy.addr()).await.unwrap();
    pair.listener.accept().await.unwrap();
}

#[tokio::test]
async fn unreachable_upstream_resets_the_client() {
    let pair = Pair::connect().await;
    drop(pair.listener);
    let mut client = TcpStream::connect(pair.proxy.addr()).await.unwrap();
    assert!(is_reset(&mut client).await);
}

#[tokio::test]
async fn delay_is_latency_and_does_not_accumulate() {
    let mut pair = Pair::connect().await;
    let delay = Duration::from_millis(300);
    pair.proxy.delay(delay);
    let start = tokio::time::Instant::now();
    for number in 0..10 {
        send(&mut pair.client, &number.to_string()).await;
        // Each is sent as a piece of its own.
        tokio::task::yield_now().await;
    }
    assert_eq!(receive(&mut pair.server, 10).await, "0123456789");
    assert!(start.elapsed() >= delay, "it took {:?}", start.elapsed());
    assert!(start.elapsed() < 5 * delay, "it took {:?}", start.elapsed());
}

#[tokio::test]
async fn response_can_be_cut_in_the_middle() {
    let mut pair = Pair::connect().await;
    pair.proxy.cut_next_answer_after(3);
    send(&mut pair.client, "question").await;
    assert_eq!(receive(&mut pair.server, 8).await, "question");
    assert!(pair.proxy.fault_is_pending());
    send(&mut pair.server, "answer").await;
    assert_eq!(receive(&mut pair.client, 3).await, "ans");
    assert!(is_reset(&mut pair.client).await);
    assert!(!pair.proxy.fault_is_pending());
}

#[tokio::test]
async fn request_can_be_forwarded_and_its_response_lost() {
    let mut pair = Pair::connect().await;
    pair.proxy.lose_answer_to("COMMIT");
    send(&mut pair.client, "BEGIN").await;
    assert_eq!(receive(&mut pair.server, 5).await, "BEGIN");
    send(&mut pair.server, "ok").await;
    assert_eq!(receive(&mut pair.client, 2).await, "ok");
    // Spread over two pieces: the first has arrived before the second is sent.
    send(&mut pair.client, "COM").await;
    assert_eq!(receive(&mut pair.server, 3).await, "COM");
    send(&mut pair.client, "MIT").await;
    assert_eq!(receive(&mut pair.server, 3).await, "MIT");
    send(&mut pair.server, "done").await;
    assert!(is_reset(&mut pair.client).await);
    assert!(!pair.proxy.fault_is_pending());
}

#[tokio::test]
async fn request_is_matched_only_as_a_whole() {
    let mut pair = Pair::connect().await;
    let mut other = TcpStream::connect(pair.proxy.addr()).await.unwrap();
    let (mut other_server, _) = pair.listener.accept().await.unwrap();
    pair.proxy.lose_answer_to("COMMIT");
    send(&mut pair.client, "COM").await;
    assert_eq!(receive(&mut pair.server, 3).await, "COM");
    // Another connection gets the fault, and bytes between separate the two halves.
    send(&mut other, "COMMIT").await;
    assert_eq!(receive(&mut other_server, 6).await, "COMMIT");
    send(&mut pair.client, "...").await;
    assert_eq!(receive(&mut pair.server, 3).await, "...");
    pair.proxy.lose_answer_to("COMMIT");
    send(&mut pair.client, "MIT").await;
    assert_eq!(receive(&mut pair.server, 3).await, "MIT");
    assert!(pair.proxy.fault_is_pending());
}

#[tokio::test]
async fn degraded_link_delivers_late_and_in_sequence() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await;
    let (least, most) = (Duration::from_millis(10), Duration::from_millis(50));
    let quality = Quality {
        latency: least..most,
        loss: 50,
        retransmit_after: least..most,
        bytes_per_second: 100_000,
    };
    proxy.degrade(quality, 7);
    let started = tokio::time::Instant::now();
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    let sent: String = (0..2_000).map(|number| format!("{number:05}")).collect();
    send(&mut client, &sent).await;
    assert_eq!(receive(&mut server, sent.len()).await, sent);
    // Ten kilobytes at a hundred kilobytes a second.
    assert!(
        started.elapsed() > Duration::from_millis(100) + least,
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn delayed_request_delays_only_its_own_connection() {
    let mut pair = Pair::connect().await;
    pair.proxy.delay_requests("SLOW", Duration::from_millis(300));
    let mut other = TcpStream::connect(pair.proxy.addr()).await.unwrap();
    let (mut other_server, _) = pair.listener.accept().await.unwrap();
    let started = tokio::time::Instant::now();
    send(&mut pair.client, "SLOW").await;
    send(&mut other, "quick").await;
    assert_eq!(receive(&mut other_server, 5).await, "quick");
    assert_eq!(receive(&mut pair.server, 4).await, "SLOW");
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn each_condition_replaces_the_one_before() {
    let mut pair = Pair::connect().await;
    let addr = pair.proxy.addr();
    pair.proxy.set_condition(Condition::Hung);
    send(&mut pair.client, "late").await;
    assert!(is_silent(&mut pair.server).await);

    pair.proxy.set_condition(Condition::Dead);
    assert!(is_reset(&mut pair.client).await);
    assert!(is_reset(&mut TcpStream::connect(addr).await.unwrap()).await);

    let delay = Duration::from_millis(300);
    pair.proxy.set_condition(Condition::Slow(delay));
    let mut client = TcpStream::connect(addr).await.unwrap();
    let (mut server, _) = pair.listener.accept().await.unwrap();
    let began = tokio::time::Instant::now();
    send(&mut client, "there").await;
    assert_eq!(receive(&mut server, 5).await, "there");
    send(&mut server, "back").await;
    assert_eq!(receive(&mut client, 4).await, "back");
    assert!(began.elapsed() >= delay, "{:?}", began.elapsed());

    pair.proxy.set_condition(Condition::Healthy);
    let mut client = TcpStream::connect(addr).await.unwrap();
    let (mut server, _) = pair.listener.accept().await.unwrap();
    send(&mut client, "hello").await;
    assert_eq!(receive(&mut server, 5).await, "hello");
}
