//! How frames look on a socket: four dialects over one set of events.

use bytes::Bytes;
use serde_json::Value;

use crate::json::Json;

/// One WebSocket message, as it stands on the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text message. It is valid UTF-8.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
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
#[derive(Debug, Clone, PartialEq)]
pub enum RequestId {
    /// The native `id`, text or number, sent back as it came.
    Native(Value),
    /// The Socket.IO ack id.
    Ack(u64),
}

/// What a client sends once it is live: an event, in whatever dialect.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The event's name.
    pub event: String,
    /// Its payload; null where there was none.
    pub data: Value,
    /// How the client will know the answer.
    pub id: Option<RequestId>,
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
