//! What leaves this machine, seen by a bare socket.

use std::time::Duration;

use platforms::{ExchangeError, Platform, Tokens};
use protocol::secret::Secret;
use simulator::CLIENT_SECRET;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

use crate::world::{DEADLINE, github, impatient, request, settings, silent, with_settings};

/// Takes one connection, reads what comes at once, and answers it with `answer`.
async fn overhear(listener: TcpListener, answer: &str) -> Vec<u8> {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut heard = vec![0; 16 * 1024];
    let length = socket.read(&mut heard).await.unwrap();
    socket.write_all(answer.as_bytes()).await.unwrap();
    heard.truncate(length);
    heard
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

#[tokio::test]
async fn every_request_names_this_program_and_its_version() {
    let (listener, address) = listen().await;
    let github = github(&format!("http://{address}"));
    let tokens = Tokens {
        access: Secret::new("gho_1"),
        refresh: None,
        expires_in: None,
    };
    let answer = "HTTP/1.1 500 Away\r\ncontent-length: 0\r\n\r\n";
    let (_, heard) = tokio::join!(github.profile(&tokens), overhear(listener, answer));
    let heard = String::from_utf8(heard).unwrap();
    assert!(
        heard.contains(concat!("user-agent: Postern/", env!("CARGO_PKG_VERSION"), "\r\n")),
        "{heard}"
    );
    assert!(heard.contains("accept: application/vnd.github+json\r\n"), "{heard}");
}

/// Takes one connection, and answers it a byte each tenth of a second, without end.
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
async fn an_answer_that_trickles_in_byte_by_byte_is_given_up_when_its_time_is_over() {
    let (listener, address) = listen().await;
    let github = impatient(&format!("http://{address}"));
    let exchange = request("test_code_ada");
    let outcome = tokio::select! {
        () = trickle(listener) => panic!("it never ends"),
        outcome = tokio::time::timeout(DEADLINE, github.exchange(&exchange)) => outcome.unwrap(),
    };
    let error = outcome.unwrap_err();
    assert!(matches!(error, ExchangeError::Unknown(..)), "{error:?}");
    let chain = silent(&error, &["test_code_ada"]);
    assert!(chain.contains("no answer within 2s"), "{chain}");
}

#[tokio::test]
async fn https_begins_with_a_tls_hello_and_no_secret_leaves_before_it_is_answered() {
    let (listener, address) = listen().await;
    let mut settings = settings("http://127.0.0.1:1");
    settings.token_url = Url::parse(&format!("https://{address}/token")).unwrap();
    let github = with_settings(settings);
    let exchange = request("test_code_ada");
    let (outcome, heard) = tokio::join!(
        github.exchange(&exchange),
        overhear(listener, "HTTP/1.1 200 OK\r\n\r\n")
    );
    // The record header of a TLS handshake (RFC 8446 section 5.1).
    assert_eq!(heard[..2], [22, 3]);
    let heard = String::from_utf8_lossy(&heard).into_owned();
    assert!(!heard.contains("test_code_ada") && !heard.contains(CLIENT_SECRET));
    let error = outcome.unwrap_err();
    assert!(matches!(error, ExchangeError::NotSent(..)), "{error:?}");
    silent(&error, &["test_code_ada"]);
}
