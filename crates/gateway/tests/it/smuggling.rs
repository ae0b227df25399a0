//! Requests that two servers could parse differently get at most one response, and the connection is closed.

use crate::test_gateway::TestGateway;

/// Request and its allowed response statuses.
struct Case {
    name: &'static str,
    head: &'static str,
    status: &'static [&'static str],
}

const fn case(name: &'static str, head: &'static str, status: &'static [&'static str]) -> Case {
    Case { name, head, status }
}

/// Remaining headers of a valid upgrade to `/ws`.
const GOOD: &str = "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
     Sec-WebSocket-Protocol: postern.v1.json\r\n";
/// Appended to every request. A server that takes the first request for shorter than it is serves this one.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

async fn assert_answered_once(gateway: &TestGateway, case: &Case, request: &str) {
    let Case { name, status, .. } = case;
    let mut wire = gateway.endpoint.open().await.unwrap();
    wire.send(request.as_bytes()).await.unwrap();
    let answer = String::from_utf8_lossy(&wire.read_to_end().await).into_owned();
    let found = answer.get(9..12).unwrap_or("none");
    assert!(status.contains(&found), "{name}: {answer}");
    assert!(
        answer.matches("HTTP/1.").count() <= 1,
        "{name}: one answer, then the end: {answer}"
    );
    assert!(!answer.contains("101 Switching"), "{name}: {answer}");
}

#[tokio::test]
async fn ambiguous_upgrade_is_refused() {
    let gateway = TestGateway::new().await;
    let cases = [
        case(
            "two Upgrade headers",
            "Upgrade: websocket\r\nUpgrade: websocket\r\n",
            &["400"],
        ),
        case("two protocols", "Upgrade: websocket\r\nUpgrade: h2c\r\n", &["400"]),
        case("a list of protocols", "Upgrade: h2c, websocket\r\n", &["400"]),
        case(
            "TE and CL",
            "Upgrade: websocket\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            &["400"],
        ),
        case("TE", "Upgrade: websocket\r\nTransfer-Encoding: chunked\r\n", &["400"]),
        case("a body", "Upgrade: websocket\r\nContent-Length: 5\r\n", &["400"]),
        case(
            "two keys",
            "Upgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
            &["400"],
        ),
        case(
            "two versions",
            "Upgrade: websocket\r\nSec-WebSocket-Version: 8\r\n",
            &["426"],
        ),
    ];
    for case in &cases {
        for target in ["/ws", "/socket.io/?EIO=4&transport=websocket"] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{}{GOOD}\r\n{SMUGGLED}", case.head);
            assert_answered_once(&gateway, case, &request).await;
        }
    }
    let old = case("HTTP/1.0", "", &["400"]);
    let request = format!("GET /ws HTTP/1.0\r\nHost: x\r\nUpgrade: websocket\r\n{GOOD}\r\n{SMUGGLED}");
    assert_answered_once(&gateway, &old, &request).await;
}

#[tokio::test]
async fn ambiguous_request_length_ends_the_connection() {
    let gateway = TestGateway::new().await;
    let signed = "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=00\r\n";
    // There is no worker: a complete delivery is answered with 503.
    let cases = [
        case(
            "TE and CL",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &["400", "503"],
        ),
        case(
            "CL and TE",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            &["400", "503"],
        ),
        case(
            "two lengths",
            "Content-Length: 0\r\nContent-Length: 40\r\n\r\n",
            &["400"],
        ),
        case("a signed length", "Content-Length: +5\r\n\r\nabcde", &["400"]),
        case(
            "an unknown coding",
            "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            &["400"],
        ),
        case(
            "chunked is not the last coding",
            "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            &["400"],
        ),
        case("a space before the colon", "Content-Length : 5\r\n\r\nabcde", &["400"]),
        case("a folded header", "X-A: b\r\n Content-Length: 5\r\n\r\nabcde", &["400"]),
        case(
            "a chunk size that is none",
            "Transfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n",
            &["400"],
        ),
        case(
            "a whole request and another",
            "Content-Length: 2\r\n\r\n{}",
            &["503", "504"],
        ),
    ];
    for case in &cases {
        let request = format!("{signed}{}{SMUGGLED}", case.head);
        assert_answered_once(&gateway, case, &request).await;
    }
    let http2 = case("HTTP/2 with prior knowledge", "", &["none", "400", "505"]);
    let preface = format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{SMUGGLED}");
    assert_answered_once(&gateway, &http2, &preface).await;
}
