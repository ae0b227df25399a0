//! How one socket is heard: whichever dialect the peer speaks, what it says is one of these.

use protocol::wire::native::{self, Encoding, Undecodable};
use protocol::wire::socketio::{Decoder, Incoming};
use protocol::wire::{Dialect, FrameError, Message, Request, RequestId};
use serde_json::Value;

use crate::handshake::upgrade::Protocol;

/// The ear of one socket.
pub(super) enum Codec {
    /// Socket.IO, with whichever parser the first packet shows.
    SocketIo(Decoder),
    /// A plain WebSocket.
    Native(Encoding),
}

/// What a peer says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// It wants to connect; Socket.IO alone.
    Connect {
        /// `/`, or one that is not served.
        namespace: String,
        /// Its auth payload.
        auth: Value,
    },
    /// An event.
    Request(Request),
    /// A readable frame that names no event.
    NoEvent(Option<RequestId>),
    /// It leaves and keeps the socket; Socket.IO alone.
    Leave {
        /// `/`, or one that was never joined.
        namespace: String,
    },
    /// It answers a ping, in the way of Engine.IO.
    Pong,
    /// Nothing that matters, or a part of what will.
    Nothing,
}

impl Codec {
    pub(super) fn new(protocol: &Protocol) -> Self {
        match protocol {
            Protocol::SocketIo => Self::SocketIo(Decoder::new()),
            Protocol::Native { encoding, .. } => Self::Native(*encoding),
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Framing that cannot be read; the socket is to be closed.
    pub(super) fn decode(&mut self, message: &Message) -> Result<Said, FrameError> {
        match self {
            Self::SocketIo(decoder) => Ok(decoder.decode(message)?.map_or(Said::Nothing, Said::from)),
            Self::Native(encoding) => match native::decode(*encoding, message) {
                Ok(request) => Ok(Said::Request(request)),
                Err(Undecodable::NoEvent { id }) => Ok(Said::NoEvent(id)),
                Err(Undecodable::Framing(error)) => Err(error),
            },
        }
    }

    /// The dialect to answer in. With Socket.IO it is known from the first packet on.
    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::SocketIo(decoder) => decoder.dialect(),
            Self::Native(Encoding::Json) => Dialect::NativeJson,
            Self::Native(Encoding::Msgpack) => Dialect::NativeMsgpack,
        }
    }
}

impl From<Incoming> for Said {
    fn from(incoming: Incoming) -> Self {
        match incoming {
            Incoming::Connect { namespace, auth } => Self::Connect { namespace, auth },
            Incoming::Request(request) => Self::Request(request),
            Incoming::Disconnect { namespace } => Self::Leave { namespace },
            Incoming::Pong => Self::Pong,
            Incoming::Nothing => Self::Nothing,
            Incoming::NoEvent { ack } => Self::NoEvent(ack.map(RequestId::Ack)),
        }
    }
}
