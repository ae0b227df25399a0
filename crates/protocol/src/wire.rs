//! Frames on a socket: four dialects over one set of events.
//!
//! The type of a decoding error decides whether the connection can go on; encoding cannot fail. Nothing here keeps time or does I/O.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::json::Json;

pub mod auth;
pub mod native;
pub mod ready;
pub mod socketio;

mod engineio;
mod msgpack;
mod text;

/// Complete WebSocket message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text message, valid UTF-8.
    Text(Bytes),
    /// Binary message.
    Binary(Bytes),
}

impl Message {
    /// Bytes of the message.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }
}

/// Dialect of a client.
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

/// Id that a client gives its request, to match the answer: `id` of a native frame, or ack id of Socket.IO.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum RequestId {
    /// Native `id`, text or number, echoed unchanged.
    Native(Value),
    /// Ack id of Socket.IO.
    Ack(u64),
}

/// Event of a client, decoded from any dialect.
#[derive(Clone, PartialEq)]
pub struct Request {
    /// Name of the event.
    pub event: String,
    /// Payload, or null.
    pub data: Value,
    /// Id that the answer carries.
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

/// Event of the server, not yet encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Push<'a> {
    /// Name of the event.
    pub event: &'a str,
    /// Payload of the event.
    pub data: &'a Json,
    /// Offset in the user's event log; none for events of one socket or session.
    pub offset: Option<&'a str>,
    /// Id of the event, by which a client drops a repetition; of events with an offset, and of an alert that is sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<&'a str>,
}

/// Framing that cannot be read: it costs the connection (close code 4400). Says what was wrong, never the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FrameError(pub &'static str);
