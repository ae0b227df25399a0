//! Meaning of a client's packet.

use std::fmt;

use serde_json::Value;

use super::packet::{Kind, Packet, ROOT, is_reserved};
use crate::wire::{FrameError, Request, RequestId};

/// Decoded packet of a client. The connection checks the sequence: a request before CONNECT and a second CONNECT are decoded
/// like any other.
#[derive(Clone, PartialEq)]
pub enum Incoming {
    /// CONNECT.
    Connect {
        /// `/`, or a namespace that is not served.
        namespace: String,
        /// Auth payload: an object, or null.
        auth: Value,
    },
    /// EVENT with a name, and all its attachments.
    Request(Request),
    /// DISCONNECT.
    Disconnect {
        /// `/`, or a namespace that was never joined.
        namespace: String,
    },
    /// Answer to a ping.
    Pong,
    /// Ignored packet: Engine.IO packets without meaning here, and acks (the server requests none).
    Ignored,
    /// EVENT whose name is missing or a number: the reference accepts it, and no such event exists.
    NoEvent {
        /// Ack id that the client gave.
        ack: Option<u64>,
    },
}

impl Incoming {
    /// Interprets a packet.
    pub(super) fn of(packet: Packet<'_, Value>) -> Result<Self, FrameError> {
        match (packet.kind, packet.data) {
            (Kind::Connect, auth @ (None | Some(Value::Object(_)))) => Ok(Self::Connect {
                namespace: packet.namespace.into_owned(),
                auth: auth.unwrap_or_default(),
            }),
            (Kind::Connect, Some(_)) => Err(FrameError("the auth payload is not an object")),
            (Kind::Disconnect, None) => Ok(Self::Disconnect {
                namespace: packet.namespace.into_owned(),
            }),
            (Kind::Disconnect, Some(_)) => Err(FrameError("a payload on a disconnect")),
            (Kind::ConnectError, _) => Err(FrameError("only the server refuses to connect")),
            (Kind::Event | Kind::Ack, _) if packet.namespace != ROOT => {
                Err(FrameError("a packet for a namespace that was not joined"))
            }
            (Kind::Ack, None | Some(Value::Array(_))) => Ok(Self::Ignored),
            (Kind::Event, None) => Ok(Self::NoEvent { ack: packet.id }),
            (Kind::Event, Some(Value::Array(arguments))) => Self::event(packet.id, arguments),
            (Kind::Event | Kind::Ack, Some(_)) => Err(FrameError("the arguments are not an array")),
        }
    }

    /// Interprets an EVENT: the first argument is its name, the second its payload; further ones are ignored.
    fn event(ack: Option<u64>, arguments: Vec<Value>) -> Result<Self, FrameError> {
        let mut arguments = arguments.into_iter();
        match arguments.next() {
            Some(Value::String(event)) if is_reserved(&event) => Err(FrameError("a reserved event name")),
            Some(Value::String(event)) => Ok(Self::Request(Request {
                event,
                data: arguments.next().unwrap_or_default(),
                id: ack.map(RequestId::Ack),
            })),
            Some(Value::Number(_)) => Ok(Self::NoEvent { ack }),
            _ => Err(FrameError("the event name is not a text")),
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The payload holds the token.
            Self::Connect { namespace, .. } => f
                .debug_struct("Connect")
                .field("namespace", namespace)
                .finish_non_exhaustive(),
            Self::Request(request) => request.fmt(f),
            Self::Disconnect { namespace } => f.debug_struct("Disconnect").field("namespace", namespace).finish(),
            Self::Pong => f.write_str("Pong"),
            Self::Ignored => f.write_str("Ignored"),
            Self::NoEvent { ack } => f.debug_struct("NoEvent").field("ack", ack).finish(),
        }
    }
}
