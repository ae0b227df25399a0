//! Decoding of one socket's messages, whichever dialect the peer uses.

use protocol::wire::native::{self, Encoding, Undecodable};
use protocol::wire::socketio::{Decoder, Incoming};
use protocol::wire::{Dialect, FrameError, Message, Request, RequestId};
use serde_json::Value;

use crate::handshake::upgrade::Protocol;

/// Decoder of one socket.
pub(super) enum Codec {
    /// Socket.IO; the first packet shows which parser the client uses.
    SocketIo(Decoder),
    /// Plain WebSocket.
    Native(Encoding),
}

/// Decoded message of a client.
#[derive(Debug, PartialEq)]
pub(super) enum ClientMessage {
    /// CONNECT; Socket.IO only.
    Connect {
        /// `/`, or a namespace that is not served.
        namespace: String,
        /// Auth payload.
        auth: Value,
    },
    /// Event.
    Request(Request),
    /// Readable frame without an event name.
    NoEvent(Option<RequestId>),
    /// DISCONNECT, after which the WebSocket stays open; Socket.IO only.
    Disconnect {
        /// `/`, or a namespace that was never joined.
        namespace: String,
    },
    /// Engine.IO pong.
    Pong,
    /// Part of a message, or a packet without effect.
    Incomplete,
}

impl Codec {
    pub(super) fn new(protocol: &Protocol) -> Self {
        match protocol {
            Protocol::SocketIo => Self::SocketIo(Decoder::new()),
            Protocol::Native { encoding, .. } => Self::Native(*encoding),
        }
    }

    /// Decodes a message.
    ///
    /// # Errors
    /// [`FrameError`]: the framing is broken, and the socket is to be closed.
    pub(super) fn decode(&mut self, message: &Message) -> Result<ClientMessage, FrameError> {
        match self {
            Self::SocketIo(decoder) => Ok(decoder
                .decode(message)?
                .map_or(ClientMessage::Incomplete, ClientMessage::from)),
            Self::Native(encoding) => match native::decode(*encoding, message) {
                Ok(request) => Ok(ClientMessage::Request(request)),
                Err(Undecodable::NoEvent { id }) => Ok(ClientMessage::NoEvent(id)),
                Err(Undecodable::Framing(error)) => Err(error),
            },
        }
    }

    /// Dialect of the answers. With Socket.IO it is known from the first packet on.
    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::SocketIo(decoder) => decoder.dialect(),
            Self::Native(Encoding::Json) => Dialect::NativeJson,
            Self::Native(Encoding::Msgpack) => Dialect::NativeMsgpack,
        }
    }
}

impl From<Incoming> for ClientMessage {
    fn from(incoming: Incoming) -> Self {
        match incoming {
            Incoming::Connect { namespace, auth } => Self::Connect { namespace, auth },
            Incoming::Request(request) => Self::Request(request),
            Incoming::Disconnect { namespace } => Self::Disconnect { namespace },
            Incoming::Pong => Self::Pong,
            Incoming::Ignored => Self::Incomplete,
            Incoming::NoEvent { ack } => Self::NoEvent(ack.map(RequestId::Ack)),
        }
    }
}

/// The one namespace of Socket.IO that is served.
pub(super) const ROOT: &str = "/";
