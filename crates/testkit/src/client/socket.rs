//! Common part of the clients of all dialects: a WebSocket that is read in the background, and an inbox.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::inbox::Inbox;
use super::{Closed, Event};
use crate::canary::Canaries;
use crate::wait;

/// Open WebSocket. It reads and answers pings while the test does other things. Its drop ends the connection without a Close
/// frame, as a phone does that loses its network.
#[derive(Debug)]
pub struct Socket {
    outgoing: mpsc::Sender<Message>,
    pub(super) inbox: Arc<Inbox>,
    _task: JoinSet<()>,
}

impl Socket {
    /// Reads `stream` from now on. `receive` files each message in the inbox and returns an immediate answer; received secrets
    /// are added to `canaries`.
    pub(super) fn start(
        stream: WebSocketStream<TlsStream<TcpStream>>,
        canaries: Canaries,
        receive: impl FnMut(Message, &Inbox) -> Option<Message> + Send + 'static,
    ) -> Self {
        let (outgoing, to_send) = mpsc::channel(QUEUE);
        let inbox = Arc::new(Inbox::new(canaries));
        let mut task = JoinSet::new();
        task.spawn(run(stream, to_send, Arc::clone(&inbox), receive));
        Self {
            outgoing,
            inbox,
            _task: task,
        }
    }

    /// Waits for the next event of this name and takes it; events of other names stay in sequence.
    pub async fn next_event(&self, name: &str) -> Event {
        self.next_event_within(name, wait::deadline()).await
    }

    /// [`Socket::next_event`] with another deadline.
    pub async fn next_event_within(&self, name: &str, within: Duration) -> Event {
        let take = |events: &mut std::collections::VecDeque<Event>| {
            let at = events.iter().position(|event| event.name == name)?;
            events.remove(at)
        };
        self.inbox
            .expect(&format!("the event {name}"), within, |content| {
                take(&mut content.events)
            })
            .await
    }

    /// Waits for the next event of any name and takes it.
    pub async fn next(&self) -> Event {
        self.inbox
            .expect("an event", wait::deadline(), |content| content.events.pop_front())
            .await
    }

    /// [`Socket::next`] without a deadline; the end of the connection is returned and does not fail the test.
    pub async fn next_or_end(&self) -> Result<Event, Closed> {
        self.inbox.wait(|content| content.events.pop_front()).await
    }

    /// Received events that were not taken.
    ///
    /// To assert that an event does not arrive, first wait for something that the server sends after it.
    pub fn unread(&self) -> Vec<Event> {
        self.inbox.lock().events.iter().cloned().collect()
    }

    /// Waits until the connection has ended, and returns its end.
    pub async fn closed(&self) -> Closed {
        self.inbox
            .expect("the end of the connection", wait::deadline(), |content| {
                content.closed.clone()
            })
            .await
    }

    /// Reports whether the connection is open as far as this end knows.
    pub fn is_open(&self) -> bool {
        self.inbox.lock().closed.is_none()
    }

    /// Number of heartbeats of the server.
    pub fn pings(&self) -> u64 {
        self.inbox.lock().pings
    }

    /// Waits for the next heartbeat of the server.
    pub async fn next_ping(&self) {
        let seen = self.pings();
        let more = |pings: u64| (pings > seen).then_some(());
        self.inbox
            .expect("a ping", wait::deadline(), |content| more(content.pings))
            .await;
    }

    /// Sends a text message unchanged. After the end of the connection it is lost.
    pub async fn send_text(&self, text: impl Into<String>) {
        self.send(Message::text(text.into())).await;
    }

    /// Sends a binary message unchanged. After the end of the connection it is lost.
    pub async fn send_binary(&self, bytes: impl Into<Vec<u8>>) {
        self.send(Message::binary(bytes.into())).await;
    }

    /// Closes with the code 1000 and waits for the server's Close frame.
    pub async fn close(&self) {
        let frame = CloseFrame {
            code: 1000.into(),
            reason: "".into(),
        };
        self.send(Message::Close(Some(frame))).await;
        self.closed().await;
    }

    async fn send(&self, message: Message) {
        // An error means that the task has ended with the connection.
        drop(self.outgoing.send(message).await);
    }
}

async fn run(
    mut stream: WebSocketStream<TlsStream<TcpStream>>,
    mut to_send: mpsc::Receiver<Message>,
    inbox: Arc<Inbox>,
    mut receive: impl FnMut(Message, &Inbox) -> Option<Message>,
) {
    let mut closed = Closed {
        code: 1006,
        reason: String::new(),
    };
    loop {
        let outgoing = tokio::select! {
            incoming = stream.next() => match incoming {
                Some(Ok(Message::Close(frame))) => {
                    closed = match frame {
                        Some(frame) => Closed { code: frame.code.into(), reason: frame.reason.to_string() },
                        None => Closed { code: 1005, reason: String::new() },
                    };
                    None
                }
                Some(Ok(Message::Ping(_))) => {
                    inbox.change(|content| content.pings += 1);
                    None
                }
                Some(Ok(message)) => receive(message, &inbox),
                Some(Err(_)) | None => break,
            },
            Some(message) = to_send.recv() => Some(message),
        };
        if let Some(message) = outgoing {
            // The next read reports a broken connection.
            drop(stream.send(message).await);
        }
    }
    inbox.change(|content| content.closed = Some(closed));
}

/// Most messages that wait for the connection.
const QUEUE: usize = 1024;
