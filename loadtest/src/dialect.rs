//! Dialects of sockets: messages of the handshake, of requests and of heartbeats, and the events of received messages.

mod centrifugo;
mod native;
mod socketio;

use clap::ValueEnum;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

/// Dialect that a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dialect {
    /// Socket.IO with the default parser.
    Socketio,
    /// Socket.IO with socket.io-msgpack-parser.
    SocketioMsgpack,
    /// Plain WebSocket with JSON.
    Native,
    /// Plain WebSocket with MessagePack.
    NativeMsgpack,
    /// JSON protocol of Centrifugo.
    #[value(skip)]
    Centrifugo,
}

/// Data with which a socket authenticates.
#[derive(Clone)]
pub(crate) struct Auth {
    pub(crate) token: String,
    /// Connection to resume.
    pub(crate) resume: Option<Resume>,
    /// False turns the batching of notifications off.
    pub(crate) batching: bool,
}

/// Lost connection of a socket.
#[derive(Clone)]
pub(crate) struct Resume {
    /// `pid` of Socket.IO, `resumeToken` of `ready`.
    pub(crate) token: String,
    /// Offset of the last event.
    pub(crate) offset: Option<String>,
}

/// Answer to the authentication.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Connected {
    /// Resume token, if the server gives one.
    pub(crate) resume_token: Option<String>,
}

/// Received message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// One or more events.
    Events,
    /// Answer to the request with this id.
    Answer(u64),
    /// Ping, with the message that answers it.
    Ping(Message),
    /// Last message of the server.
    End(String),
    /// Any other message.
    Other,
}

/// Event of the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: Value,
    /// Offset in the user's event log, if the event has one.
    pub(crate) offset: Option<String>,
}

impl Auth {
    /// Authentication of a new connection.
    pub(crate) fn of(token: String) -> Self {
        Self {
            token,
            resume: None,
            batching: true,
        }
    }
}

impl Dialect {
    /// Path and query of the URL.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Socketio | Self::SocketioMsgpack => "/socket.io/?EIO=4&transport=websocket",
            Self::Native | Self::NativeMsgpack => "/ws",
            Self::Centrifugo => "/connection/websocket",
        }
    }

    /// WebSocket subprotocol.
    pub(crate) fn subprotocol(self) -> Option<&'static str> {
        match self {
            Self::Native => Some("postern.v1.json"),
            Self::NativeMsgpack => Some("postern.v1.msgpack"),
            Self::Socketio | Self::SocketioMsgpack | Self::Centrifugo => None,
        }
    }

    /// True if the server sends a message before the client authenticates.
    pub(crate) fn server_opens(self) -> bool {
        matches!(self, Self::Socketio | Self::SocketioMsgpack)
    }

    /// Message that authenticates.
    pub(crate) fn authenticate(self, auth: &Auth) -> anyhow::Result<Message> {
        match self {
            Self::Socketio | Self::SocketioMsgpack => socketio::authenticate(self.encoding(), auth),
            Self::Native | Self::NativeMsgpack => native::authenticate(self.encoding(), auth),
            Self::Centrifugo => Ok(centrifugo::authenticate(auth)),
        }
    }

    /// Answer to the authentication; `None` for another message, an error if the server has refused it.
    pub(crate) fn connected(self, message: &Message) -> anyhow::Result<Option<Connected>> {
        match self {
            Self::Socketio | Self::SocketioMsgpack => socketio::connected(self.encoding(), message),
            Self::Native | Self::NativeMsgpack => native::connected(self.encoding(), message),
            Self::Centrifugo => centrifugo::connected(message),
        }
    }

    /// Message of a request that asks for an answer.
    pub(crate) fn request(self, event: &str, data: &Value, id: u64) -> anyhow::Result<Message> {
        match self {
            Self::Socketio | Self::SocketioMsgpack => socketio::request(self.encoding(), event, data, id),
            Self::Native | Self::NativeMsgpack => native::request(self.encoding(), event, data, id),
            Self::Centrifugo => Ok(centrifugo::request(event, data, id)),
        }
    }

    /// Kind of a received message.
    pub(crate) fn classify(self, message: &Message) -> Received {
        if let Message::Close(close) = message {
            let close = close.as_ref();
            return Received::End(close.map_or("closed without a code".to_owned(), |close| {
                format!("closed with {} {:?}", close.code, close.reason.as_str())
            }));
        }
        match self {
            Self::Socketio | Self::SocketioMsgpack => socketio::classify(self.encoding(), message),
            Self::Native | Self::NativeMsgpack => native::classify(self.encoding(), message),
            Self::Centrifugo => centrifugo::classify(message),
        }
    }

    /// Events of a message that [`Dialect::classify`] has found to hold some.
    pub(crate) fn events(self, message: &Message) -> Vec<Event> {
        match self {
            Self::Socketio | Self::SocketioMsgpack => socketio::event(self.encoding(), message).into_iter().collect(),
            Self::Native | Self::NativeMsgpack => native::events(self.encoding(), message),
            Self::Centrifugo => Vec::new(),
        }
    }

    fn encoding(self) -> Encoding {
        match self {
            Self::SocketioMsgpack | Self::NativeMsgpack => Encoding::Msgpack,
            Self::Socketio | Self::Native | Self::Centrifugo => Encoding::Json,
        }
    }
}

/// Encoding of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Json,
    Msgpack,
}

impl Encoding {
    fn write(self, value: &Value) -> anyhow::Result<Message> {
        Ok(match self {
            Self::Json => Message::text(value.to_string()),
            Self::Msgpack => Message::binary(rmp_serde::to_vec(value)?),
        })
    }

    fn read(self, message: &Message) -> Option<Value> {
        match (self, message) {
            (Self::Json, Message::Text(text)) => serde_json::from_str(text.as_str()).ok(),
            (Self::Msgpack, Message::Binary(bytes)) => rmp_serde::from_slice(bytes).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
