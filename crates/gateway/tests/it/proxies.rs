//! Clients behind proxies: PROXY headers in front of TLS and `X-Forwarded-For` in requests, from trusted proxies and from others who
//! claim an address.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use gateway::{Proxies, ProxyProtocol, Rate, Settings, TrustedProxies};
use serde_json::json;
use testkit::client::Refused;
use testkit::client::http::Request;
use testkit::{Endpoint, Native, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use crate::addresses::listed_address;
use crate::test_gateway::{TestGateway, internal_api};
use crate::worker::Worker;

/// Trusted proxy: the default address of test clients.
const PROXY: &str = "127.0.0.1";
/// Address of this machine that is not trusted.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

async fn behind(protocol: ProxyProtocol, change: impl FnOnce(&mut Settings)) -> TestGateway {
    TestGateway::with(|settings| {
        settings.proxies = Proxies::new(protocol, TrustedProxies::parse(PROXY).unwrap()).unwrap();
        settings.internal_api = Some(internal_api("internal-token"));
        change(settings);
    })
    .await
}

fn v1(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 127.0.0.1 4711 443\r\n").into_bytes()
}

fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, family], &length, block].concat()
}

fn v2_tcp6(client: &str) -> Vec<u8> {
    let client = client.parse::<std::net::Ipv6Addr>().unwrap().octets();
    v2(
        0x21,
        0x21,
        &[&client[..], &[0; 16], &[0x12, 0x67, 1, 187], b"\x04\0\x03abc"].concat(),
    )
}

fn refusals(gateway: &TestGateway, reason: &str) -> f64 {
    gateway.metric(&format!("postern_gateway_refusals_total{{reason=\"{reason}\"}}"))
}

async fn refused_once(gateway: &TestGateway, reason: &str) {
    let metric = format!("postern_gateway_refusals_total{{reason=\"{reason}\"}}");
    gateway.metric_is(&metric, 1.0).await;
}

/// Sends bytes and waits for the end of the connection, without an answer.
async fn closed_after(endpoint: &Endpoint, bytes: &[u8]) {
    let mut tcp = endpoint.tcp().await.unwrap();
    // The gateway may reset a connection that it has not read to its end.
    drop(tcp.write_all(bytes).await);
    let mut answer = Vec::new();
    let end = timeout(wait::deadline(), tcp.read_to_end(&mut answer)).await;
    assert!(end.is_ok(), "the connection stayed open");
    assert_eq!(answer, b"");
}

fn upgrade(forwarded_for: &[&str]) -> Request {
    let request = Request::upgrade("/ws").header("Sec-WebSocket-Protocol", "postern.v1.json");
    forwarded_for
        .iter()
        .fold(request, |request, line| request.header("X-Forwarded-For", line))
}

/// Opens a socket of a new user with these `X-Forwarded-For` lines, and returns the address under which it is listed.
async fn listed_with(gateway: &TestGateway, endpoint: &Endpoint, forwarded_for: &[&str]) -> serde_json::Value {
    let user = format!(
        "u{}",
        gateway.metric("postern_gateway_connects_total{dialect=\"native_json\"}")
    );
    let mut wire = endpoint.open().await.unwrap();
    let request = upgrade(forwarded_for).bearer(&gateway.token(&user));
    wire.upgrade(&request).await.unwrap();
    wire.next_frame().await.unwrap();
    listed_address(gateway, &user).await
}

#[tokio::test]
async fn client_of_a_proxy_header_is_listed_and_is_the_origin_of_its_commands() {
    let gateway = behind(ProxyProtocol::Required, |_| {}).await;
    let worker = Worker::succeeding(&gateway);
    for (user, header, client) in [
        ("a", v1("203.0.113.7"), "203.0.113.7"),
        (
            "b",
            v2(0x21, 0x11, &[203, 0, 113, 8, 127, 0, 0, 1, 0x12, 0x67, 1, 187]),
            "203.0.113.8",
        ),
        ("c", v2_tcp6("2001:db8::7"), "2001:db8::7"),
        ("d", v2_tcp6("::ffff:203.0.113.9"), "203.0.113.9"),
    ] {
        let endpoint = gateway.endpoint.with_header(&header);
        let socket = Native::connect(&endpoint, &gateway.token(user)).await.unwrap();
        assert_eq!(listed_address(&gateway, user).await, json!(client));
        socket.request("account:list", json!({})).await;
        assert_eq!(worker.last().origin.unwrap().address, client);
    }
}

#[tokio::test]
async fn limits_per_address_count_the_client_and_not_its_proxy() {
    let gateway = behind(ProxyProtocol::Required, |settings| {
        settings.connect_rate = Rate::parse("1/8").unwrap();
        settings.pending_connections = 32;
    })
    .await;
    let from = |client: &str| gateway.endpoint.with_header(&v1(client));
    let mut silent = Vec::new();
    for client in 0..8 {
        // A sixteenth of the permits.
        silent.push(from(&format!("203.0.113.{client}")).open().await.unwrap());
        silent.push(from(&format!("203.0.113.{client}")).open().await.unwrap());
    }
    assert!(from("203.0.113.1").open().await.is_err());
    refused_once(&gateway, "pending_per_address").await;

    drop(silent);
    gateway.metric_is("postern_gateway_pending_connections", 0.0).await;
    for _ in 0..8 {
        drop(from("203.0.113.99").open().await.unwrap());
        gateway.metric_is("postern_gateway_pending_connections", 0.0).await;
    }
    while from("203.0.113.99").open().await.is_ok() {}
    refused_once(&gateway, "connect_rate").await;
    from("203.0.113.98").open().await.unwrap();
}

#[tokio::test]
async fn header_of_an_untrusted_peer_is_refused_and_direct_clients_are_served() {
    let gateway = behind(ProxyProtocol::Optional, |_| {}).await;
    let elsewhere = gateway.endpoint.with_source(ELSEWHERE);
    closed_after(&elsewhere, &v1("203.0.113.7")).await;
    refused_once(&gateway, "proxy_untrusted_header").await;
    closed_after(&elsewhere, &v2_tcp6("2001:db8::7")).await;
    assert!(elsewhere.with_header(&v1("203.0.113.7")).open().await.is_err());

    assert_eq!(listed_with(&gateway, &elsewhere, &[]).await, json!("127.0.0.2"));
    assert_eq!(listed_with(&gateway, &gateway.endpoint, &[]).await, json!("127.0.0.1"));
    let named = gateway.endpoint.with_header(&v1("203.0.113.7"));
    assert_eq!(listed_with(&gateway, &named, &[]).await, json!("203.0.113.7"));
}

#[tokio::test]
async fn required_header_that_is_missing_or_of_an_untrusted_peer_ends_the_connection() {
    let gateway = behind(ProxyProtocol::Required, |_| {}).await;
    assert!(gateway.endpoint.open().await.is_err());
    refused_once(&gateway, "proxy_missing").await;
    let elsewhere = gateway.endpoint.with_source(ELSEWHERE);
    assert!(elsewhere.open().await.is_err());
    refused_once(&gateway, "proxy_untrusted_peer").await;
    assert!(elsewhere.with_header(&v1("203.0.113.7")).open().await.is_err());
}

#[tokio::test]
async fn header_while_the_protocol_is_off_is_refused_with_its_own_reason() {
    for gateway in [TestGateway::new().await, behind(ProxyProtocol::Off, |_| {}).await] {
        closed_after(&gateway.endpoint, &v1("203.0.113.7")).await;
        refused_once(&gateway, "proxy_off").await;
        closed_after(&gateway.endpoint, &v2(0x20, 0, &[])).await;
        assert!(gateway.endpoint.open().await.is_ok());
        assert!(refusals(&gateway, "tls") < 0.5);
    }
}

#[tokio::test]
async fn malformed_or_overlong_header_of_a_trusted_proxy_is_refused() {
    let gateway = behind(ProxyProtocol::Optional, |_| {}).await;
    let headers = [
        b"PROXY TCP4 203.0.113.7\r\n".to_vec(),
        [&b"PROXY UNKNOWN "[..], &[b'x'; 10_000]].concat(),
        v2(0x21, 0x11, &[7; 10_000]),
        v2(0x21, 0x11, &[203, 0, 113]),
        v2(0x21, 0x77, &[0; 12]),
    ];
    for header in &headers {
        closed_after(&gateway.endpoint, header).await;
    }
    let refused = "postern_gateway_refusals_total{reason=\"proxy_malformed\"}";
    gateway.metric_is(refused, 5.0).await;
    gateway.metric_is("postern_gateway_pending_connections", 0.0).await;
}

#[tokio::test]
async fn header_sent_byte_by_byte_is_read_and_one_that_never_ends_times_out() {
    let gateway = behind(ProxyProtocol::Required, |settings| {
        settings.timing.tls = Duration::from_secs(1);
    })
    .await;
    for header in [
        &b"PROXY TCP4 203.0.113.7 "[..],
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01",
    ] {
        let mut tcp = gateway.endpoint.tcp().await.unwrap();
        for byte in header {
            tcp.write_all(&[*byte]).await.unwrap();
        }
        let end = timeout(wait::deadline(), tcp.read_to_end(&mut Vec::new())).await;
        assert!(end.is_ok(), "the connection stayed open");
    }
    gateway
        .metric_is("postern_gateway_refusals_total{reason=\"proxy_timeout\"}", 2.0)
        .await;
    let mut endless = gateway.endpoint.tcp().await.unwrap();
    let is_closed = trickle(&mut endless, &v2(0x21, 0x11, &[1; 4_000])).await;
    assert!(is_closed, "the whole header was waited for");
    gateway.metric_is("postern_gateway_pending_connections", 0.0).await;
}

/// Sends a byte every 5 ms. True if the server has closed the connection before the last.
async fn trickle(tcp: &mut TcpStream, bytes: &[u8]) -> bool {
    let mut pace = interval(Duration::from_millis(5));
    for byte in bytes {
        pace.tick().await;
        if tcp.write_all(&[*byte]).await.is_err() {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn health_check_of_a_trusted_proxy_is_no_refusal_and_local_connection_is_its_own() {
    let gateway = behind(ProxyProtocol::Required, |settings| {
        settings.connect_rate = Rate::parse("1/1").unwrap();
    })
    .await;
    let local = v2(0x20, 0, &[]);
    for bytes in [&b""[..], &local, b"PROXY UNKNOWN\r\n"] {
        let mut tcp = gateway.endpoint.tcp().await.unwrap();
        tcp.write_all(bytes).await.unwrap();
        tcp.shutdown().await.unwrap();
        assert_eq!(tcp.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    }
    // Not limited as one address.
    for header in [
        &local[..],
        b"PROXY UNKNOWN\r\n",
        &v2(0x21, 0x31, &[0; 216]),
        &v2(0x21, 0, &[]),
    ] {
        let endpoint = gateway.endpoint.with_header(header);
        assert_eq!(listed_with(&gateway, &endpoint, &["203.0.113.7"]).await, json!(PROXY));
    }
    for reason in ["tls", "proxy_missing", "proxy_malformed", "connect_rate"] {
        assert!(refusals(&gateway, reason) < 0.5, "{reason}");
    }
}

#[tokio::test]
async fn forwarded_client_of_a_trusted_proxy_is_listed_and_forged_entries_are_not() {
    let gateway = behind(ProxyProtocol::Off, |settings| settings.connect_rate = None).await;
    let listed = async |lines: &[&str]| listed_with(&gateway, &gateway.endpoint, lines).await;
    assert_eq!(listed(&["203.0.113.7"]).await, json!("203.0.113.7"));
    assert_eq!(
        listed(&["198.51.100.1, 10.0.0.1", "203.0.113.7"]).await,
        json!("203.0.113.7")
    );
    assert_eq!(
        listed(&["127.0.0.1, 203.0.113.7, 127.0.0.1"]).await,
        json!("203.0.113.7")
    );
    assert_eq!(listed(&["203.0.113.7, unknown"]).await, json!(PROXY));
    assert_eq!(listed(&[]).await, json!(PROXY));

    let elsewhere = gateway.endpoint.with_source(ELSEWHERE);
    assert_eq!(
        listed_with(&gateway, &elsewhere, &["203.0.113.7"]).await,
        json!("127.0.0.2")
    );
}

#[tokio::test]
async fn forwarded_header_of_a_client_behind_a_proxy_that_passes_tls_is_ignored() {
    let gateway = behind(ProxyProtocol::Optional, |_| {}).await;
    let named = gateway.endpoint.with_header(&v1("203.0.113.7"));
    assert_eq!(
        listed_with(&gateway, &named, &["198.51.100.1"]).await,
        json!("203.0.113.7")
    );
    assert_eq!(
        listed_with(&gateway, &gateway.endpoint, &["198.51.100.1"]).await,
        json!(PROXY)
    );
    // A trusted proxy that ends TLS, behind one that passes it through.
    let chained = gateway.endpoint.with_header(&v1(PROXY));
    assert_eq!(
        listed_with(&gateway, &chained, &["203.0.113.7"]).await,
        json!("203.0.113.7")
    );
}

#[tokio::test]
async fn forwarded_client_that_exceeds_the_connect_rate_gets_429_and_others_are_served() {
    let gateway = behind(ProxyProtocol::Off, |settings| {
        settings.connect_rate = Rate::parse("1/3").unwrap();
    })
    .await;
    let open = async |client: &str| {
        let mut wire = gateway.endpoint.open().await.unwrap();
        wire.upgrade(&upgrade(&["198.51.100.1", client]).bearer(&gateway.token("u")))
            .await
    };
    let refused = loop {
        match open("203.0.113.7").await {
            Ok(_) => {}
            Err(Refused::Http(response)) => break response,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    assert!(
        refused.text().contains(r#""error":"rate_limited""#),
        "{}",
        refused.text()
    );
    refused_once(&gateway, "connect_rate").await;
    open("203.0.113.8").await.unwrap();
    let page = Request::get("/nowhere").header("X-Forwarded-For", "203.0.113.9");
    assert_eq!(gateway.endpoint.http(&page).await.unwrap().status, 404);
}
