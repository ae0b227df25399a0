//! How frames look on a socket: four dialects over one set of events.
//!
//! Reading may fail, and then says whether the connection can go on; writing cannot fail. Nothing here keeps time or does I/O.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::json::Json;

pub mod auth;
pub mod native;
pub mod socketio;

mod engineio;
mod msgpack;
mod text;

/// One WebSocket message, as it stands on the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text message. It is valid UTF-8.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
}

impl Message {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }
}

/// The way a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Plain WebSocket, subprotocol `postern.v1.json`.
    NativeJson,
    /// Plain WebSocket, subprotocol `postern.v1.msgpack`.
    NativeMsgpack,
    /// Socket.IO v5 with its default parser.
    SocketIo,
    /// Socket.IO v5 with socket.io-msgpack-parser.
    SocketIoMsgpack,
}

/// What the client calls its request, to find the answer: a native frame's `id` or a Socket.IO ack id.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum RequestId {
    /// The native `id`, text or number, sent back as it came.
    Native(Value),
    /// The Socket.IO ack id.
    Ack(u64),
}

/// What a client sends once it is live: an event, in whatever dialect.
#[derive(Clone, PartialEq)]
pub struct Request {
    /// The event's name.
    pub event: String,
    /// Its payload; null where there was none.
    pub data: Value,
    /// How the client will know the answer.
    pub id: Option<RequestId>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The payload may hold a token or a code.
        f.debug_struct("Request")
            .field("event", &self.event)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What the server sends: an event, in no dialect yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The event's name.
    pub event: String,
    /// Its payload.
    pub data: Json,
    /// Its place in the user's order, as the client's offset; none for what is said to one socket only.
    pub offset: Option<String>,
}

/// Framing that cannot be read: it costs the connection (close code 4400). Says what was wrong, never the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FrameError(pub &'static str);
