//! Bytes that leave this machine, received by a plain socket.

use std::time::Duration;

use platforms::{ExchangeError, Platform, Tokens};
use protocol::secret::Secret;
use simulator::CLIENT_SECRET;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

use crate::world::{DEADLINE, assert_no_secret, github, impatient, request, settings, with_settings};

/// Accepts one connection, reads the first bytes, and answers with `answer`.
async fn receive_once(listener: TcpListener, answer: &str) -> Vec<u8> {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut received = vec![0; 16 * 1024];
    let length = socket.read(&mut received).await.unwrap();
    socket.write_all(answer.as_bytes()).await.unwrap();
    received.truncate(length);
    received
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

#[tokio::test]
async fn every_request_has_the_user_agent_with_the_version() {
    let (listener, address) = listen().await;
    let github = github(&format!("http://{address}"));
    let tokens = Tokens {
        access: Secret::new("gho_1"),
        refresh: None,
        expires_in: None,
    };
    let answer = "HTTP/1.1 500 Away\r\ncontent-length: 0\r\n\r\n";
    let (_, received) = tokio::join!(github.profile(&tokens), receive_once(listener, answer));
    let received = String::from_utf8(received).unwrap();
    assert!(
        received.contains(concat!("user-agent: Postern/", env!("CARGO_PKG_VERSION"), "\r\n")),
        "{received}"
    );
    assert!(
        received.contains("accept: application/vnd.github+json\r\n"),
        "{received}"
    );
}

/// Accepts one connection, and answers with a byte every tenth of a second, without end.
async fn trickle(listener: TcpListener) {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n";
    for byte in head.bytes().chain(std::iter::repeat(b' ')) {
        pace.tick().await;
        if socket.write_all(&[byte]).await.is_err() {
            break;
        }
    }
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn slow_answer_times_out() {
    let (listener, address) = listen().await;
    let github = impatient(&format!("http://{address}"));
    let exchange = request("test_code_ada");
    let outcome = tokio::select! {
        () = trickle(listener) => panic!("it never ends"),
        outcome = tokio::time::timeout(DEADLINE, github.exchange(&exchange)) => outcome.unwrap(),
    };
    let error = outcome.unwrap_err();
    assert!(matches!(error, ExchangeError::Unknown(..)), "{error:?}");
    let chain = assert_no_secret(&error, &["test_code_ada"]);
    assert!(chain.contains("no answer within 2s"), "{chain}");
}

#[tokio::test]
async fn https_sends_a_client_hello_and_no_secret_before_the_handshake() {
    let (listener, address) = listen().await;
    let mut settings = settings("http://127.0.0.1:1");
    settings.token_url = Url::parse(&format!("https://{address}/token")).unwrap();
    let github = with_settings(settings);
    let exchange = request("test_code_ada");
    let (outcome, received) = tokio::join!(
        github.exchange(&exchange),
        receive_once(listener, "HTTP/1.1 200 OK\r\n\r\n")
    );
    // The record header of a TLS handshake (RFC 8446 section 5.1).
    assert_eq!(received[..2], [22, 3]);
    let received = String::from_utf8_lossy(&received).into_owned();
    assert!(!received.contains("test_code_ada") && !received.contains(CLIENT_SECRET));
    let error = outcome.unwrap_err();
    assert!(matches!(error, ExchangeError::NotSent(..)), "{error:?}");
    assert_no_secret(&error, &["test_code_ada"]);
}
