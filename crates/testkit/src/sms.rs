//! SMS API that keeps its messages: HTTP, as Twilio's.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::listening::{Listening, read_head};
use crate::wait;

/// HTTP server on a free port of 127.0.0.1. It ends with this value.
#[derive(Debug)]
pub struct SmsServer {
    listening: Listening,
    shared: Arc<SmsState>,
}

/// Received text message.
#[derive(Debug, Clone, Default)]
pub struct TextMessage {
    /// Method and path of the request.
    pub request: String,
    /// Login, as `user:password`.
    pub login: String,
    /// `To`.
    pub to: String,
    /// `From`.
    pub from: String,
    /// `Body`.
    pub text: String,
}

#[derive(Debug)]
struct SmsState {
    messages: Mutex<Vec<TextMessage>>,
    status: AtomicU16,
}

impl SmsServer {
    /// Starts a server that accepts every message with status 201.
    pub async fn start() -> Self {
        let shared = Arc::new(SmsState {
            messages: Mutex::default(),
            status: AtomicU16::new(TAKEN),
        });
        let served = Arc::clone(&shared);
        let listening = Listening::start("listen for an SMS API", move |stream| {
            serve(stream, Arc::clone(&served))
        })
        .await;
        Self { listening, shared }
    }

    /// `http://127.0.0.1:<port>`
    pub fn url(&self) -> String {
        format!("http://{}", self.listening.addr)
    }

    /// Sets the status of further responses; with any status but 201 the message is refused.
    pub fn answers(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    /// Messages for this number, oldest first.
    pub fn messages(&self, to: &str) -> Vec<TextMessage> {
        let messages = self.shared.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.iter().filter(|message| message.to == to).cloned().collect()
    }

    /// Waits until this number has received this number of messages, and returns the last.
    pub async fn nth(&self, to: &str, count: usize) -> TextMessage {
        wait::until("a text message", wait::deadline(), async || {
            count
                .checked_sub(1)
                .and_then(|last| self.messages(to).get(last).cloned())
        })
        .await
    }
}

/// Serves one request and closes.
async fn serve(mut stream: TcpStream, shared: Arc<SmsState>) -> std::io::Result<()> {
    let head = read_head(&mut stream).await?;
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = header(&head, "content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;

    let status = shared.status.load(Ordering::SeqCst);
    if status == TAKEN {
        let message = message(&head, &body);
        let mut messages = shared.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.push(message);
    }
    let answer = format!("HTTP/1.1 {status} -\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

fn message(head: &str, body: &[u8]) -> TextMessage {
    let request = head.split(" HTTP/").next().unwrap_or_default().to_owned();
    let login = header(head, "authorization").and_then(|value| STANDARD.decode(value.strip_prefix("Basic ")?).ok());
    let mut message = TextMessage {
        request,
        login: String::from_utf8(login.unwrap_or_default()).unwrap_or_default(),
        ..TextMessage::default()
    };
    for (name, value) in url::form_urlencoded::parse(body) {
        match &*name {
            "To" => message.to = value.into_owned(),
            "From" => message.from = value.into_owned(),
            "Body" => message.text = value.into_owned(),
            _ => {}
        }
    }
    message
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.trim())
}

const TAKEN: u16 = 201;
