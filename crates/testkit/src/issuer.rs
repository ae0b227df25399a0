//! Issuer of tokens that publishes its keys over HTTP, with faults on request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::listening::{Listening, read_head};

/// HTTP server on a free port of 127.0.0.1. It ends with this value.
#[derive(Debug)]
pub struct Issuer {
    listening: Listening,
    shared: Arc<IssuerState>,
}

/// Response of an issuer.
#[derive(Clone, Debug)]
pub enum IssuerResponse {
    /// Key set (RFC 7517).
    Keys(Vec<Value>),
    /// Any text.
    Text(String),
    /// Key set with this status.
    Status(u16, Vec<Value>),
    /// Redirect (302).
    Redirect(String),
    /// Endless body, as fast as it is read.
    Endless,
    /// Head without a body.
    Stall,
    /// No response: the connection is dropped.
    Disconnect,
}

#[derive(Debug)]
struct IssuerState {
    answer: Mutex<IssuerResponse>,
    fetches: AtomicU64,
    sent: AtomicU64,
}

impl Issuer {
    /// Starts an issuer with this response.
    pub async fn start(answer: IssuerResponse) -> Self {
        let shared = Arc::new(IssuerState {
            answer: Mutex::new(answer),
            fetches: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        });
        let served = Arc::clone(&shared);
        let listening =
            Listening::start("listen for an issuer", move |stream| serve(stream, Arc::clone(&served))).await;
        Self { listening, shared }
    }

    /// URL of the keys.
    pub fn url(&self) -> String {
        format!("http://{}/jwks.json", self.listening.addr)
    }

    /// Sets the response to further requests.
    pub fn respond_with(&self, answer: IssuerResponse) {
        *self.shared.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// Number of requests.
    pub fn fetches(&self) -> u64 {
        self.shared.fetches.load(Ordering::SeqCst)
    }

    /// Number of bytes sent of endless responses.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }
}

/// Responds to one request and closes.
async fn serve(mut stream: TcpStream, shared: Arc<IssuerState>) -> std::io::Result<()> {
    read_head(&mut stream).await?;
    shared.fetches.fetch_add(1, Ordering::SeqCst);
    let answer = shared.answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match answer {
        IssuerResponse::Keys(keys) => whole(&mut stream, 200, "", &key_set(&keys)).await,
        IssuerResponse::Text(text) => whole(&mut stream, 200, "", &text).await,
        IssuerResponse::Status(status, keys) => whole(&mut stream, status, "", &key_set(&keys)).await,
        IssuerResponse::Redirect(to) => whole(&mut stream, 302, &format!("location: {to}\r\n"), "").await,
        IssuerResponse::Endless => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
                .await?;
            loop {
                stream.write_all(&[b' '; 4096]).await?;
                shared.sent.fetch_add(4096, Ordering::SeqCst);
            }
        }
        IssuerResponse::Stall => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
                .await?;
            // The loop ends when the client disconnects.
            stream.read_u8().await.map(drop)
        }
        IssuerResponse::Disconnect => Ok(()),
    }
}

async fn whole(stream: &mut TcpStream, status: u16, more: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} -\r\n{more}content-length: {length}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

fn key_set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}
