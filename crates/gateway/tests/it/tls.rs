//! Features disabled in TLS 1.3: early data, resumption, renegotiation, older versions.

use std::sync::Arc;

use rustls::{ClientConfig, HandshakeKind};
use testkit::client::http::Request;
use testkit::wait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::test_gateway::TestGateway;

const LIVE: &str = "postern_gateway_sockets{dialect=\"native_json\"}";

/// Sends bytes and returns the response until the server closes the connection.
async fn answer_to(gateway: &TestGateway, bytes: &[u8]) -> Vec<u8> {
    let mut tcp = gateway.endpoint.tcp().await.unwrap();
    tcp.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let end = tokio::time::timeout(wait::deadline(), tcp.read_to_end(&mut answer)).await;
    assert!(end.is_ok(), "the connection stayed open");
    answer
}

#[tokio::test]
async fn client_hellos_of_ssl_2_to_tls_1_2_are_refused() {
    let gateway = TestGateway::new().await;
    // SSLv2 CLIENT-HELLO: length (2 bytes), type, version 0.2, one cipher, challenge of 16 bytes.
    let ssl2 = [&[0x80, 28, 1, 0, 2, 0, 3, 0, 0, 0, 16, 1, 0, 0x80][..], &[7; 16]].concat();
    assert_refused(&answer_to(&gateway, &ssl2).await, "SSLv2");
    // SSLv2 CLIENT-HELLO for version 3.3, for clients that support SSLv2 and TLS (RFC 5246, appendix E.2).
    let compatible = [&[0x80, 28, 1, 3, 3, 0, 3, 0, 0, 0, 16, 0, 0xc0, 0x2b][..], &[7; 16]].concat();
    assert_refused(&answer_to(&gateway, &compatible).await, "an SSLv2 hello for TLS 1.2");
    for (version, name) in [(0, "SSLv3"), (1, "TLS 1.0"), (2, "TLS 1.1"), (3, "TLS 1.2")] {
        let hello = hello(version, &[]);
        let answer = answer_to(&gateway, &hello).await;
        // A fatal alert, protocol_version (RFC 8446, sections 5.1 and 6.2).
        assert_eq!((answer[0], &answer[5..7]), (21, &[2, 70][..]), "{name}: {answer:?}");
    }
    gateway
        .metric_is("postern_gateway_refusals_total{reason=\"tls\"}", 6.0)
        .await;
}

#[tokio::test]
async fn renegotiation_is_not_offered_on_request() {
    let gateway = TestGateway::new().await;
    // TLS 1.2 ClientHello with an empty renegotiation_info (RFC 5746). Only TLS 1.2 has renegotiation.
    let answer = answer_to(&gateway, &hello(3, &[0xff, 0x01, 0, 1, 0])).await;
    assert_eq!((answer[0], &answer[5..7]), (21, &[2, 70][..]), "{answer:?}");
}

#[tokio::test]
async fn handshake_message_in_open_session_closes_it() {
    let gateway = TestGateway::new().await;
    let mut open = ClientConfig::clone(&gateway.authority.client());
    open.enable_secret_extraction = true;
    let open = Arc::new(open);
    // A ClientHello without its record header, and a HelloRequest of TLS 1.2.
    for message in [&hello(3, &[])[5..], &[0, 0, 0, 0]] {
        let wire = gateway.wire_with("u", Arc::clone(&open)).await;
        gateway.metric_is(LIVE, 1.0).await;
        let mut tcp = wire.send_handshake_message(message).await;
        let end = tokio::time::timeout(wait::deadline(), tcp.read_to_end(&mut Vec::new())).await;
        assert!(end.is_ok(), "the session went on");
        gateway.metric_is(LIVE, 0.0).await;
    }
}

#[tokio::test]
async fn early_data_with_forged_session_is_not_accepted() {
    let gateway = TestGateway::new().await;
    let early = [&[23, 3, 3, 0, 64][..], &[9; 64]].concat();
    let answer = answer_to(&gateway, &[hello_with_early_data(), early].concat()).await;
    let server_hello = &answer[5..];
    assert_eq!((answer[0], server_hello[0]), (22, 2), "a ServerHello: {answer:?}");
    let extensions = extensions_of_server_hello(server_hello);
    assert!(extensions.contains(&43), "TLS 1.3: {extensions:?}");
    assert!(
        !extensions.contains(&41),
        "the session was taken for a known one: {extensions:?}"
    );
    gateway
        .metric_is("postern_gateway_refusals_total{reason=\"tls\"}", 1.0)
        .await;
}

#[tokio::test]
async fn tls_resumption_is_disabled() {
    let gateway = TestGateway::new().await;
    let mut eager = ClientConfig::clone(&gateway.authority.client());
    eager.enable_early_data = true;
    // The client configuration keeps session tickets across connections.
    let endpoint = gateway.endpoint.with_tls(Arc::new(eager));
    for _ in 0..3 {
        let mut wire = endpoint.open().await.unwrap();
        assert_eq!(wire.http(&Request::get("/")).await.unwrap().status, 404);
        assert_eq!(wire.tls().handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(wire.tls().tls13_tickets_received(), 0);
        assert!(!wire.tls().is_early_data_accepted());
    }
}

fn assert_refused(answer: &[u8], what: &str) {
    assert!(answer.is_empty() || answer[0] == 21, "{what}: {answer:?}");
}

/// Returns a `ClientHello` of version 3.`minor` without `supported_versions` (RFC 5246, section 7.4.1.2), with these extensions.
fn hello(minor: u8, extensions: &[u8]) -> Vec<u8> {
    // supported_groups: x25519, secp256r1. signature_algorithms: ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256.
    let usual = [0, 10, 0, 6, 0, 4, 0, 29, 0, 23, 0, 13, 0, 6, 0, 4, 4, 3, 8, 4];
    // ECDHE-ECDSA-AES128-GCM-SHA256.
    client_hello(minor, [0xc0, 0x2b], &[&usual, extensions].concat())
}

/// Returns a `ClientHello` of TLS 1.3 with a forged session and early data (RFC 8446, sections 4.2.10 and 4.2.11).
fn hello_with_early_data() -> Vec<u8> {
    let extension = |kind: u8, content: &[u8]| [&[0, kind, 0, u8::try_from(content.len()).unwrap()], content].concat();
    let key_share = [&[0, 36, 0, 29, 0, 32][..], &[9; 32]].concat();
    let identity = [&[0, 38, 0, 32][..], &[5; 32], &[0, 0, 0, 1]].concat();
    let binder = [&[0, 33, 32][..], &[6; 32]].concat();
    let extensions = [
        extension(10, &[0, 2, 0, 29]),
        extension(13, &[0, 4, 4, 3, 8, 4]),
        extension(43, &[2, 3, 4]),
        extension(51, &key_share),
        extension(45, &[1, 1]),
        extension(42, &[]),
        // pre_shared_key is the last.
        extension(41, &[identity, binder].concat()),
    ];
    // TLS_AES_128_GCM_SHA256.
    client_hello(3, [0x13, 0x01], &extensions.concat())
}

fn client_hello(minor: u8, cipher: [u8; 2], extensions: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
    let mut hello = vec![3, minor];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, cipher[0], cipher[1], 1, 0]);
    hello.extend(length(extensions));
    hello.extend(extensions);
    let handshake = [&[1, 0][..], &length(&hello), &hello].concat();
    [&[22, 3, 1][..], &length(&handshake), &handshake].concat()
}

/// Returns the extension types of a `ServerHello` (RFC 8446, section 4.1.3).
fn extensions_of_server_hello(hello: &[u8]) -> Vec<u16> {
    let session = usize::from(hello[4 + 2 + 32]);
    let mut rest = &hello[4 + 2 + 32 + 1 + session + 2 + 1..];
    let number = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
    let end = usize::from(number(rest)) + 2;
    rest = &rest[2..end];
    let mut kinds = Vec::new();
    while !rest.is_empty() {
        kinds.push(number(rest));
        rest = &rest[4 + usize::from(number(&rest[2..]))..];
    }
    kinds
}
