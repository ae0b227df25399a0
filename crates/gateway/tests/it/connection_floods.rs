//! Connections without a token of one address do not block other addresses.

use std::net::{IpAddr, Ipv4Addr};
use std::thread::available_parallelism;
use std::time::Duration;

use gateway::{Rate, Settings};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use testkit::client::http::Request;
use testkit::client::{Endpoint, Wire};
use testkit::{Native, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::test_gateway::TestGateway;

/// Second loopback address, different from the clients' default.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const PENDING: &str = "postern_gateway_pending_connections";
const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n";

fn refused(gateway: &TestGateway) -> f64 {
    let reasons = [
        "pending_connections",
        "pending_per_address",
        "connect_rate",
        "open_connections",
    ];
    let count = |reason| gateway.metric(&format!("postern_gateway_refusals_total{{reason=\"{reason}\"}}"));
    reasons.into_iter().map(count).sum()
}

/// Sends requests on one connection until it is closed, then on the next one.
async fn repeat_requests(endpoint: Endpoint) {
    let mut tenth = interval(Duration::from_millis(100));
    loop {
        tenth.tick().await;
        if let Ok(mut wire) = endpoint.open().await {
            while wire.send(REQUEST).await.is_ok() {
                tenth.tick().await;
            }
        }
    }
}

/// Pipelines requests as fast as the kernel accepts them, reads nothing, and keeps the connection open.
async fn pipeline_and_never_read(endpoint: Endpoint) -> Wire {
    let mut pace = interval(Duration::from_millis(10));
    let mut wire = loop {
        pace.tick().await;
        if let Ok(wire) = endpoint.open().await {
            break wire;
        }
    };
    let many = REQUEST.repeat(1_000);
    while let Ok(Ok(())) = tokio::time::timeout(Duration::from_secs(2), wire.send(&many)).await {}
    wire
}

#[tokio::test]
async fn request_flood_of_one_address_does_not_block_another() {
    let gateway = TestGateway::with(|settings| settings.pending_connections = 64).await;
    let mut attack = JoinSet::new();
    for _ in 0..96 {
        attack.spawn(repeat_requests(gateway.endpoint.clone()));
    }
    wait::until_true("the attack to reach a bound", wait::deadline(), async || {
        refused(&gateway) > 50.0
    })
    .await;
    let elsewhere = gateway.endpoint.with_source(ELSEWHERE);
    for attempt in 0..10 {
        let client = Native::connect(&elsewhere, &gateway.token("u")).await;
        assert!(client.is_ok(), "attempt {attempt}: {client:?}");
    }
}

#[tokio::test]
async fn silent_connections_of_one_address_take_at_most_a_sixteenth_of_the_permits() {
    let gateway = TestGateway::with(|settings| settings.connect_rate = Rate::parse("10000/10000").unwrap()).await;
    let mut silent = Vec::new();
    for _ in 0..4_096 {
        // A dropped connection may already show as a failed connect.
        silent.extend(gateway.endpoint.tcp().await.ok());
    }
    let elsewhere = gateway.endpoint.with_source(ELSEWHERE);
    Native::connect(&elsewhere, &gateway.token("u")).await.unwrap();
    assert!(refused(&gateway) >= 3_000.0, "{} refused", refused(&gateway));
}

#[tokio::test]
async fn clients_that_stall_in_their_handshake_do_not_block_others_of_their_address() {
    let gateway = TestGateway::with(|settings| settings.timing.tls = 2 * wait::deadline()).await;
    let name = ServerName::from(gateway.endpoint.addr().ip());
    let mut stalled = Vec::new();
    for _ in 0..2 * available_parallelism().unwrap().get() {
        let mut tls = ClientConnection::new(gateway.authority.client(), name.clone()).unwrap();
        let mut hello = Vec::new();
        tls.write_tls(&mut hello).unwrap();
        let mut stream = gateway.endpoint.tcp().await.unwrap();
        stream.write_all(&hello).await.unwrap();
        stalled.push(stream);
    }
    Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    // All of them have an answer: none waits for another one's handshake.
    for stream in &mut stalled {
        stream.read_u8().await.unwrap();
    }
}

#[tokio::test]
async fn pipelining_connections_that_never_read_time_out_and_release_permits() {
    let gateway = TestGateway::with(|settings| {
        settings.connect_rate = None;
        settings.pending_connections = 40;
    })
    .await;
    let mut attack = JoinSet::new();
    for _ in 0..40 {
        attack.spawn(pipeline_and_never_read(gateway.endpoint.clone()));
    }
    // The clients keep their connections open.
    let stalled = attack.join_all().await;
    wait::until_true("a permit", wait::deadline(), async || {
        Native::connect(&gateway.endpoint, &gateway.token("u")).await.is_ok()
    })
    .await;
    gateway.metric_is(PENDING, 0.0).await;
    drop(stalled);
}

#[tokio::test]
async fn connection_is_closed_after_one_request() {
    let gateway = TestGateway::new().await;
    let mut wire = gateway.endpoint.open().await.unwrap();
    wire.send(&REQUEST.repeat(3)).await.unwrap();
    let answers = String::from_utf8(wire.read_to_end().await).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 404 ").count(), 1, "{answers}");
    assert!(answers.contains(r#""error":"not_supported""#));
    assert!(
        answers.to_ascii_lowercase().contains("\r\nconnection: close\r\n"),
        "{answers}"
    );
    gateway.metric_is(PENDING, 0.0).await;
}

#[tokio::test]
async fn every_http_route_closes_its_connection() {
    let gateway = TestGateway::new().await;
    for request in [
        Request::get("/oauth/callback/github?code=a&state=b"),
        Request::get("/oauth/callback/nowhere"),
        Request::new("HEAD", "/oauth/callback/github"),
        Request::new("POST", "/oauth/callback/github").body("token=x"),
        Request::new("PUT", "/oauth/callback/github"),
        Request::new("POST", "/webhooks/github").body("{}"),
        Request::get("/webhooks/x_twitter?crc_token=a"),
        Request::get("/socket.io/?EIO=4&transport=polling"),
        Request::get("/ws"),
        Request::get("/"),
    ] {
        let mut wire = gateway.endpoint.open().await.unwrap();
        wire.send(&request.bytes()).await.unwrap();
        let answer = String::from_utf8_lossy(&wire.read_to_end().await).to_ascii_lowercase();
        assert!(answer.contains("\r\nconnection: close\r\n"), "{request:?}: {answer}");
    }
}

#[tokio::test]
async fn silent_and_incomplete_connections_time_out_and_release_permits() {
    let shorter = |settings: &mut Settings| {
        settings.timing.tls = Duration::from_millis(500);
        settings.timing.request_head = Duration::from_millis(500);
        settings.timing.authentication = Duration::from_millis(500);
    };
    let gateway = TestGateway::with(shorter).await;
    let mut attack = JoinSet::new();
    for n in 0..200 {
        let endpoint = gateway.endpoint.clone();
        attack.spawn(async move {
            match n % 4 {
                0 => send_until_closed(endpoint.tcp().await.unwrap(), b"").await,
                // A handshake record of 512 bytes, sent byte by byte.
                1 => {
                    let record = [&[22, 3, 1, 2, 0, 1, 0, 1, 252][..], &[7; 600]].concat();
                    send_until_closed(endpoint.tcp().await.unwrap(), &record).await;
                }
                // On a busy machine the gateway closes a handshake that took too long, as it does the others.
                2 => {
                    if let Ok(wire) = endpoint.open().await {
                        trickle_head(wire).await;
                    }
                }
                _ => {
                    if let Ok(silent) = Native::to(&endpoint).open().await {
                        silent.closed().await;
                    }
                }
            }
        });
    }
    attack.join_all().await;
    gateway.metric_is(PENDING, 0.0).await;
    gateway
        .metric_is("postern_gateway_sockets{dialect=\"native_json\"}", 0.0)
        .await;
}

/// Sends a byte every 20 ms until the server closes the connection.
async fn send_until_closed(mut tcp: TcpStream, bytes: &[u8]) {
    use tokio::io::AsyncWriteExt;
    let mut pace = interval(Duration::from_millis(20));
    for byte in bytes {
        pace.tick().await;
        if tcp.write_all(&[*byte]).await.is_err() {
            return;
        }
    }
    let mut rest = Vec::new();
    let end = tokio::time::timeout(wait::deadline(), tcp.read_to_end(&mut rest)).await;
    assert!(end.is_ok(), "the connection stayed open");
}

/// Sends a request head byte by byte until the server closes the connection.
async fn trickle_head(mut wire: Wire) {
    let head = [&b"GET /ws HTTP/1.1\r\nHost: x\r\nX-Slow: "[..], &[b'a'; 4_000]].concat();
    let (mut pace, mut sent) = (interval(Duration::from_millis(20)), 0);
    while wire.send(&head[sent..=sent]).await.is_ok() {
        sent += 1;
        assert!(sent < head.len(), "the head was waited for");
        pace.tick().await;
    }
}
