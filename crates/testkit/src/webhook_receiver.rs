//! Receiver of webhooks that keeps them, and misbehaves on request.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::listening::{Listening, read_head};
use crate::mail::acceptor;
use crate::tls::Authority;
use crate::wait;

/// HTTP or HTTPS server on a free port of 127.0.0.1. It ends with this value.
#[derive(Debug)]
pub struct WebhookReceiver {
    listening: Listening,
    shared: Arc<Mutex<State>>,
    scheme: &'static str,
}

/// Received webhook.
#[derive(Debug, Clone)]
pub struct ReceivedWebhook {
    /// Header fields, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
}

impl ReceivedWebhook {
    /// Value of a header field; empty if it is missing.
    pub fn header(&self, name: &str) -> &str {
        let mut named = self.headers.iter().filter(|(field, _)| field == name);
        named.next().map_or("", |(_, value)| value)
    }
}

/// Response to one webhook.
#[derive(Debug, Clone)]
pub enum Response {
    /// Status, and a further header line or nothing.
    Status(u16, String),
    /// None, with the connection left open.
    Hangs,
    /// Status 200, and a body without end.
    Endless,
}

#[derive(Debug, Default)]
struct State {
    received: Vec<ReceivedWebhook>,
    script: VecDeque<Response>,
    /// Endless bodies that the client has cut off.
    cut_off: usize,
}

impl WebhookReceiver {
    /// Starts a receiver that accepts every webhook with status 204.
    pub async fn start() -> Self {
        let shared = Arc::<Mutex<State>>::default();
        let served = Arc::clone(&shared);
        let listening = Listening::start("listen for webhooks", move |stream| serve(stream, Arc::clone(&served)));
        Self {
            listening: listening.await,
            shared,
            scheme: "http",
        }
    }

    /// Same as [`Self::start`], over TLS with a certificate of this authority.
    pub async fn start_with_tls(authority: &Authority) -> Self {
        let shared = Arc::<Mutex<State>>::default();
        let (served, tls) = (Arc::clone(&shared), acceptor(authority));
        let listening = Listening::start("listen for webhooks", move |stream| {
            let (served, tls) = (Arc::clone(&served), tls.clone());
            async move { serve(tls.accept(stream).await?, served).await }
        });
        Self {
            listening: listening.await,
            shared,
            scheme: "https",
        }
    }

    /// `http://127.0.0.1:<port>/hooks`
    pub fn url(&self) -> String {
        format!("{}://{}/hooks", self.scheme, self.listening.addr)
    }

    /// Adds responses to the next webhooks; those behind them are accepted.
    pub fn respond(&self, responses: impl IntoIterator<Item = Response>) {
        self.lock().script.extend(responses);
    }

    /// Webhooks, oldest first.
    pub fn received(&self) -> Vec<ReceivedWebhook> {
        self.lock().received.clone()
    }

    /// Waits for this number of webhooks, and returns all.
    pub async fn wait_for(&self, count: usize) -> Vec<ReceivedWebhook> {
        wait::until("webhooks", wait::deadline(), async || {
            Some(self.received()).filter(|received| received.len() >= count)
        })
        .await
    }

    /// Waits until the client has cut off this number of endless bodies.
    pub async fn wait_for_cut_off(&self, count: usize) {
        let is_cut_off = async || self.lock().cut_off >= count;
        wait::until_true("the end of an endless body", wait::deadline(), is_cut_off).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.shared)
    }
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves the requests of a connection.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Mutex<State>>) -> std::io::Result<()> {
    loop {
        let head = read_head(&mut stream).await?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let fields = head.lines().filter_map(|line| line.split_once(": "));
        let headers = fields.map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let mut webhook = ReceivedWebhook {
            headers: headers.collect(),
            body: String::new(),
        };
        let length = webhook.header("content-length").parse().unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        webhook.body = String::from_utf8_lossy(&body).into_owned();
        let response = {
            let mut state = lock(&shared);
            state.received.push(webhook);
            state.script.pop_front()
        };
        match response.unwrap_or_else(|| Response::Status(204, String::new())) {
            Response::Status(status, header) => {
                let header = if header.is_empty() {
                    header
                } else {
                    format!("{header}\r\n")
                };
                let answer = format!("HTTP/1.1 {status} -\r\n{header}content-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await?;
                stream.flush().await?;
            }
            // Until the client gives up.
            Response::Hangs => {
                stream.read_u8().await?;
            }
            Response::Endless => {
                stream.write_all(b"HTTP/1.1 200 -\r\n\r\n").await?;
                while stream.write_all(&[b'x'; 4_096]).await.is_ok() {}
                lock(&shared).cut_off += 1;
                return Ok(());
            }
        }
    }
}
