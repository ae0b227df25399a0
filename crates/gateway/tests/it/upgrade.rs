//! Upgrade requests: accepted ones, and the responses to refused ones.

use std::time::Duration;

use gateway::Origins;
use serde_json::{Value, json};
use testkit::client::Refused;
use testkit::client::http::Request;
use testkit::{Native, SocketIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::test_gateway::TestGateway;

const SOCKETIO: &str = "/socket.io/?EIO=4&transport=websocket";
const PAGE: &str = "https://app.example.com";

async fn with_allowed_origin() -> TestGateway {
    TestGateway::with(|settings| settings.origins = Origins::parse(PAGE).unwrap()).await
}

#[tokio::test]
async fn engineio_violations_get_reference_responses() {
    let gateway = TestGateway::new().await;
    let cases = [
        (
            Request::get("/socket.io/?EIO=4&transport=polling&t=x"),
            0,
            "Transport unknown",
        ),
        (
            Request::new("POST", "/socket.io/?EIO=4&transport=polling"),
            0,
            "Transport unknown",
        ),
        (
            Request::upgrade("/socket.io/?EIO=4&transport=websocket&sid=x"),
            1,
            "Session ID unknown",
        ),
        (Request::get(SOCKETIO), 3, "Bad request"),
        (
            Request::upgrade("/socket.io/?EIO=3&transport=websocket"),
            5,
            "Unsupported protocol version",
        ),
        (
            Request::upgrade("/socket.io/?transport=websocket"),
            5,
            "Unsupported protocol version",
        ),
    ];
    for (request, code, message) in cases {
        let response = gateway.endpoint.http(&request).await.unwrap();
        assert_eq!(response.status, 400, "{request:?}");
        assert_eq!(response.header("content-type"), "application/json");
        assert_eq!(response.text(), json!({ "code": code, "message": message }).to_string());
    }
}

#[tokio::test]
async fn socketio_path_works_with_and_without_trailing_slash() {
    let gateway = TestGateway::new().await;
    for path in [
        SOCKETIO,
        "/socket.io?EIO=4&transport=websocket",
        "/socket.io/?transport=websocket&EIO=4&t=1795424716.75",
    ] {
        let mut wire = gateway.endpoint.open().await.unwrap();
        wire.upgrade(&Request::upgrade(path)).await.unwrap();
        let open = wire.next_frame().await.unwrap();
        let open = String::from_utf8(open.payload).unwrap();
        let (digit, handshake) = open.split_at(1);
        let handshake: Value = serde_json::from_str(handshake).unwrap();
        assert_eq!(digit, "0");
        assert_eq!(handshake["upgrades"], json!([]));
        assert_eq!(
            (&handshake["pingInterval"], &handshake["pingTimeout"]),
            (&json!(30_000), &json!(20_000))
        );
        assert_eq!(handshake["maxPayload"], 65_536);
    }
}

#[tokio::test]
async fn foreign_origin_is_refused_and_allowed_origin_gets_cors_headers() {
    let gateway = with_allowed_origin().await;
    for origin in [
        "https://evil.com",
        "https://app.example.com.evil.com",
        "null",
        "http://app.example.com",
        "HTTPS://APP.EXAMPLE.COM",
    ] {
        for path in [SOCKETIO, "/ws"] {
            let request = Request::upgrade(path)
                .header("Origin", origin)
                .header("Sec-WebSocket-Protocol", "postern.v1.json");
            let response = gateway.endpoint.http(&request).await.unwrap();
            assert_eq!(response.status, 403, "{origin} {path}");
            assert_eq!(response.header("access-control-allow-origin"), "");
            let sentence = format!("The origin {origin} is not in POSTERN_ALLOWED_ORIGINS.");
            let body: Value = serde_json::from_str(&response.text()).unwrap();
            assert_eq!(body["message"], sentence, "{path}");
        }
    }
    let polling = Request::get("/socket.io/?EIO=4&transport=polling").header("Origin", PAGE);
    let response = gateway.endpoint.http(&polling).await.unwrap();
    assert_eq!(response.status, 400);
    assert_eq!(response.header("access-control-allow-origin"), PAGE);
    assert_eq!(response.header("vary"), "Origin");

    let token = gateway.token("u");
    let auth = json!({ "token": token });
    SocketIo::to(&gateway.endpoint)
        .header("Origin", PAGE)
        .auth(auth)
        .connect()
        .await
        .unwrap();
    Native::to(&gateway.endpoint)
        .header("Origin", PAGE)
        .bearer(&token)
        .connect()
        .await
        .unwrap();
}

#[tokio::test]
async fn origin_of_own_address_is_allowed() {
    let gateway = with_allowed_origin().await;
    let (host, port) = ("gateway.example.com", gateway.endpoint.addr().port());
    let own = [
        // websocket-client of Python and React Native, Starscream of Swift, with and without the default port.
        (format!("https://{host}:{port}"), format!("{host}:{port}")),
        (format!("wss://{host}:{port}"), format!("{host}:{port}")),
        (format!("https://{host}:443"), host.to_owned()),
        (format!("https://{host}"), format!("{host}:443")),
        (format!("https://127.0.0.1:{port}"), format!("127.0.0.1:{port}")),
    ];
    let other = [
        (format!("https://{host}:{port}"), format!("{host}:{}", port ^ 1)),
        (format!("https://{host}.evil.com:{port}"), format!("{host}:{port}")),
        (format!("https://{host}"), format!("{host}:{port}")),
        ("null".to_owned(), format!("{host}:{port}")),
    ];
    let cases = own
        .map(|case| (case, 101))
        .into_iter()
        .chain(other.map(|case| (case, 403)));
    for ((origin, host), status) in cases {
        for path in [SOCKETIO, "/ws"] {
            let request = Request::upgrade(path)
                .without("Host")
                .header("Host", &host)
                .header("Origin", &origin)
                .header("Sec-WebSocket-Protocol", "postern.v1.json");
            let response = gateway.endpoint.http(&request).await.unwrap();
            assert_eq!(response.status, status, "{origin} {host} {path}");
        }
    }
}

#[tokio::test]
async fn listed_app_origins_subdomains_and_null_are_allowed() {
    let listed = "https://*.example.com, capacitor://localhost, app://., null";
    let gateway = TestGateway::with(|settings| settings.origins = Origins::parse(listed).unwrap()).await;
    for (origin, status) in [
        ("https://a.b.example.com", 101),
        ("capacitor://localhost", 101),
        ("app://.", 101),
        ("null", 101),
        ("https://example.com", 403),
        ("ionic://localhost", 403),
    ] {
        let request = Request::upgrade(SOCKETIO).header("Origin", origin);
        assert_eq!(
            gateway.endpoint.http(&request).await.unwrap().status,
            status,
            "{origin}"
        );
    }
}

#[tokio::test]
async fn valid_token_in_url_is_refused() {
    let gateway = TestGateway::new().await;
    let token = gateway.token("u");
    for path in [format!("{SOCKETIO}&token={token}"), format!("/ws?access_token={token}")] {
        let request = Request::upgrade(&path).header("Sec-WebSocket-Protocol", "postern.v1.json");
        let response = gateway.endpoint.http(&request).await.unwrap();
        assert_eq!(response.status, 400);
        assert_eq!(response.json()["error"], "bad_request");
        assert!(!response.text().contains(&token));
    }
}

#[tokio::test]
async fn native_upgrade_requires_a_known_subprotocol() {
    let gateway = TestGateway::new().await;
    for offered in [None, Some("chat"), Some("a.jwt.token")] {
        let request = Request::upgrade("/ws");
        let request = match offered {
            Some(offered) => request.header("Sec-WebSocket-Protocol", offered),
            None => request,
        };
        let response = gateway.endpoint.http(&request).await.unwrap();
        assert_eq!(response.status, 400, "{offered:?}");
        assert_eq!(response.header("sec-websocket-protocol"), "");
    }
}

#[tokio::test]
async fn invalid_websocket_handshake_is_refused_and_connection_closed() {
    let gateway = TestGateway::new().await;
    let native = || Request::upgrade("/ws").header("Sec-WebSocket-Protocol", "postern.v1.json");
    let cases = [
        (native().without("Sec-WebSocket-Key"), 400),
        (
            native()
                .without("Sec-WebSocket-Key")
                .header("Sec-WebSocket-Key", "short"),
            400,
        ),
        (native().header("Transfer-Encoding", "chunked"), 400),
        (native().body("smuggled"), 400),
        (native().without("Connection").header("Connection", "close"), 400),
        (
            native()
                .without("Sec-WebSocket-Version")
                .header("Sec-WebSocket-Version", "8"),
            426,
        ),
    ];
    for (request, status) in cases {
        let mut wire = gateway.endpoint.open().await.unwrap();
        wire.send(&request.bytes()).await.unwrap();
        let answer = String::from_utf8(wire.read_to_end().await).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request:?}: {answer}"
        );
        assert_eq!(
            answer.matches("HTTP/1.1").count(),
            1,
            "one answer, then the end: {answer}"
        );
    }
}

#[tokio::test]
async fn bytes_before_the_101_response_prevent_the_upgrade() {
    let gateway = TestGateway::new().await;
    let mut wire = gateway.endpoint.open().await.unwrap();
    let mut bytes = Request::upgrade(SOCKETIO).bytes();
    bytes.extend(testkit::client::frame::Frame::text("40{}").bytes());
    wire.send(&bytes).await.unwrap();
    let answer = String::from_utf8_lossy(&wire.read_to_end().await).into_owned();
    assert_eq!(
        answer.split("\r\n\r\n").nth(1),
        Some(""),
        "no frame was served: {answer:?}"
    );
}

#[tokio::test]
async fn new_sockets_are_refused_during_bus_outage() {
    let gateway = TestGateway::new().await;
    gateway.bus.cut(true);
    for path in [SOCKETIO, "/ws"] {
        let request = Request::upgrade(path).header("Sec-WebSocket-Protocol", "postern.v1.json");
        let response = gateway.endpoint.http(&request).await.unwrap();
        assert_eq!(response.status, 503, "{path}");
        assert_eq!(response.header("retry-after"), "2");
        assert_eq!(response.json()["error"], "unavailable");
    }
    assert!(gateway.readiness.is_ready(), "the outage is not this node's");

    gateway.bus.cut(false);
    Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
}

#[tokio::test]
async fn incomplete_request_head_times_out() {
    let gateway = TestGateway::with(|settings| settings.timing.request_head = Duration::from_millis(300)).await;
    let mut wire = gateway.endpoint.open().await.unwrap();
    wire.send(b"GET /ws HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    drop(wire.read_to_end().await);
}

#[tokio::test]
async fn incomplete_tls_handshake_times_out() {
    let gateway = TestGateway::with(|settings| settings.timing.tls = Duration::from_millis(300)).await;
    let mut tcp = TcpStream::connect(gateway.endpoint.addr()).await.unwrap();
    tcp.write_all(&[22, 3, 1]).await.unwrap();
    assert_ended(&mut tcp).await;
    gateway
        .metric_is("postern_gateway_refusals_total{reason=\"tls\"}", 1.0)
        .await;
    let timed = "postern_gateway_tls_handshake_duration_seconds_count{outcome=\"timeout\"}";
    gateway.metric_is(timed, 1.0).await;
}

#[tokio::test]
async fn tls_1_2_and_plain_http_are_refused() {
    let gateway = TestGateway::new().await;
    let mut tcp = TcpStream::connect(gateway.endpoint.addr()).await.unwrap();
    tcp.write_all(&client_hello_of_tls_1_2()).await.unwrap();
    let mut answer = [0; 7];
    tcp.read_exact(&mut answer).await.unwrap();
    // A fatal alert, protocol_version (RFC 8446, sections 5.1 and 6.2).
    assert_eq!((answer[0], &answer[5..]), (21, &[2, 70][..]));

    let mut plain = TcpStream::connect(gateway.endpoint.addr()).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // A TLS alert or a reset, but no HTTP.
    drop(plain.read_to_end(&mut answer).await);
    assert!(!answer.windows(4).any(|part| part == b"HTTP"), "{answer:?}");
}

#[tokio::test]
async fn refused_upgrade_is_reported_by_testkit_clients() {
    let gateway = with_allowed_origin().await;
    let client = Native::to(&gateway.endpoint)
        .header("Origin", "https://evil.com")
        .open()
        .await;
    assert_eq!(client.unwrap_err().status(), Some(403));
    let client = SocketIo::to(&gateway.endpoint)
        .header("Origin", "https://evil.com")
        .open()
        .await;
    assert!(matches!(client, Err(Refused::Http(_))));
}

async fn assert_ended(tcp: &mut TcpStream) {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(testkit::wait::deadline(), tcp.read_to_end(&mut rest)).await;
    assert!(end.is_ok(), "the connection stayed open");
}

/// Returns a `ClientHello` of TLS 1.2 without `supported_versions` (RFC 5246, section 7.4.1.2).
fn client_hello_of_tls_1_2() -> Vec<u8> {
    let mut extensions = Vec::new();
    // supported_groups: x25519, secp256r1.
    extensions.extend([0, 10, 0, 6, 0, 4, 0, 29, 0, 23]);
    // signature_algorithms: ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256.
    extensions.extend([0, 13, 0, 6, 0, 4, 4, 3, 8, 4]);
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    // No session; ECDHE-ECDSA-AES128-GCM-SHA256; no compression.
    hello.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend(extensions);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    record
}
