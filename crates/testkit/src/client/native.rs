//! Plain WebSocket client of `/ws`, with the subprotocol `postern.v1.json` or `postern.v1.msgpack`.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::http::{Request, SUBPROTOCOL};
use super::inbox::Inbox;
use super::recording::Recording;
use super::socket::Socket;
use super::{Endpoint, Event, Refused};
use crate::fail::{OrFail as _, fail};
use crate::wait;

/// Authenticated client. Its common part with other clients is [`Socket`].
#[derive(Debug)]
pub struct Native {
    socket: Socket,
    format: Format,
    next_id: AtomicU64,
}

/// Options of a connection.
#[derive(Clone, Debug)]
pub struct NativeConnect {
    endpoint: Endpoint,
    request: Request,
    /// Data of the first message; `None` when the header has the token.
    auth: Option<Value>,
    format: Format,
    recording: Option<Recording>,
}

/// Encoding of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Msgpack,
}

impl Native {
    /// Connects with the token in the header and JSON.
    pub async fn connect(endpoint: &Endpoint, token: &str) -> Result<Self, Refused> {
        Self::to(endpoint).bearer(token).connect().await
    }

    /// Builder of a connection with other options.
    pub fn to(endpoint: &Endpoint) -> NativeConnect {
        NativeConnect {
            endpoint: endpoint.clone(),
            request: Request::upgrade("/ws"),
            auth: None,
            format: Format::Json,
            recording: None,
        }
    }

    /// Sends an event without an id.
    pub async fn emit(&self, name: &str, data: Value) {
        self.send_frame(&json!({ "event": name, "data": data })).await;
    }

    /// Sends an event with an id and waits for the frame with the same id.
    pub async fn request(&self, name: &str, data: Value) -> Event {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.send_frame(&json!({ "event": name, "data": data, "id": id })).await;
        let what = format!("the answer to {name}");
        self.inbox
            .expect(&what, wait::deadline(), |content| content.answers.remove(&id))
            .await
    }

    /// Data of `ready`.
    pub fn ready(&self) -> Value {
        match &self.inbox.lock().admission {
            Some(Ok(ready)) => ready.clone(),
            _ => Value::Null,
        }
    }

    /// Sends one frame in the connection's encoding.
    pub async fn send_frame(&self, frame: &Value) {
        match self.format {
            Format::Json => self.send_text(frame.to_string()).await,
            Format::Msgpack => {
                let bytes = rmp_serde::to_vec_named(frame).or_fail("write MessagePack");
                self.send_binary(bytes).await;
            }
        }
    }
}

impl Deref for Native {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.socket
    }
}

impl NativeConnect {
    /// Sends the token in the header.
    #[must_use]
    pub fn bearer(mut self, token: &str) -> Self {
        self.request = self.request.bearer(token);
        self
    }

    /// Sends `auth` with this data as the first message.
    #[must_use]
    pub fn auth(mut self, data: Value) -> Self {
        self.auth = Some(data);
        self
    }

    /// Uses MessagePack.
    #[must_use]
    pub fn msgpack(mut self) -> Self {
        self.format = Format::Msgpack;
        self
    }

    /// Adds a header to the upgrade, such as `Origin`.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Records every received message.
    #[must_use]
    pub fn recorded_by(mut self, recording: &Recording) -> Self {
        self.recording = Some(recording.clone());
        self
    }

    /// Upgrades, authenticates and waits for `ready`.
    pub async fn connect(self) -> Result<Native, Refused> {
        let auth = self.auth.clone();
        let client = self.open().await?;
        if let Some(auth) = auth {
            client.send_frame(&json!({ "event": "auth", "data": auth })).await;
        }
        let answer = client.inbox.wait(|content| content.admission.clone());
        match tokio::time::timeout(wait::deadline(), answer)
            .await
            .or_fail("wait for ready")
        {
            Ok(Ok(_)) => Ok(client),
            Ok(Err(data)) => Err(Refused::Answered {
                data,
                closed: Some(client.closed().await),
            }),
            Err(closed) => Err(Refused::Closed(closed)),
        }
    }

    /// Only upgrades: neither sends a first message nor waits for one.
    pub async fn open(self) -> Result<Native, Refused> {
        let subprotocol = match self.format {
            Format::Json => "postern.v1.json",
            Format::Msgpack => "postern.v1.msgpack",
        };
        let mut wire = self.endpoint.open().await?;
        let response = wire
            .upgrade(&self.request.header(SUBPROTOCOL.as_str(), subprotocol))
            .await?;
        let chosen = response.header(SUBPROTOCOL.as_str());
        if chosen != subprotocol {
            fail(
                "upgrade",
                format_args!("asked for {subprotocol:?}, the server chose {chosen:?}"),
            );
        }
        let recording = self.recording;
        let receive = move |message: Message, inbox: &Inbox| receive(&message, inbox, recording.as_ref());
        let socket = Socket::start(wire.into_websocket().await, self.endpoint.canaries.clone(), receive);
        Ok(Native {
            socket,
            format: self.format,
            next_id: AtomicU64::new(1),
        })
    }
}

/// Files one message: a frame, or a batch of frames.
fn receive(message: &Message, inbox: &Inbox, recording: Option<&Recording>) -> Option<Message> {
    let frames: Option<Value> = match message {
        Message::Text(text) => serde_json::from_str(text).ok(),
        Message::Binary(bytes) => rmp_serde::from_slice(bytes).ok(),
        _ => return None,
    };
    if let (Some(recording), Some(frames)) = (recording, &frames) {
        recording.add(frames.clone());
    }
    match frames {
        Some(Value::Array(batch)) => batch.into_iter().for_each(|frame| file(frame, inbox)),
        Some(frame) => file(frame, inbox),
        None => file(
            json!({ "event": "(not understood)", "data": format!("{message:?}") }),
            inbox,
        ),
    }
    None
}

fn file(frame: Value, inbox: &Inbox) {
    inbox.record_secrets(&frame);
    let text = |field: &str| frame.get(field).and_then(Value::as_str).map(str::to_owned);
    let data = frame.get("data").cloned().unwrap_or_default();
    let event = Event {
        name: text("event").unwrap_or_default(),
        offset: text("offset"),
        event_id: text("eventId"),
        id: frame.get("id").and_then(Value::as_u64),
        arguments: vec![data.clone()],
        data,
    };
    inbox.change(|content| match (event.name.as_str(), event.id) {
        ("ready", _) => content.admission = Some(Ok(event.data)),
        ("error", None) if content.admission.is_none() => content.admission = Some(Err(event.data)),
        (_, Some(id)) => {
            content.answers.insert(id, event);
        }
        (_, None) => content.events.push_back(event),
    });
}
