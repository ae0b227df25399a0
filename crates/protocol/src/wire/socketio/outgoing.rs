//! Packets of the server, written for either parser. A native dialect is none of Socket.IO's, and gets the default parser's.

use std::borrow::Cow;

use serde::Serialize;

use super::packet::{Kind, Packet, ROOT, is_reserved};
use super::payload::Payload;
use super::{msgpack, text};
use crate::code::{ErrorCode, TokenFault};
use crate::json::Json;
use crate::wire::{Dialect, Message, Push};

/// Writes the answer to CONNECT. The official client is recovered exactly when `pid` is the one it had; without `pid` it does not
/// recover.
#[must_use]
pub fn connected(dialect: Dialect, sid: &str, pid: Option<&str>) -> Message {
    #[derive(Serialize)]
    struct Connected<'a> {
        sid: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        pid: Option<&'a str>,
    }
    write(dialect, &Packet::of(Kind::Connect, Some(Connected { sid, pid })))
}

/// `err.data` of a client whose CONNECT was refused.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefusalData {
    /// Code of the refusal.
    pub code: ErrorCode,
    /// Fault of the token, with `unauthenticated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<TokenFault>,
}

/// Writes the refusal of a CONNECT: the client gets `err.message` and `err.data`, and does not reconnect by itself.
#[must_use]
pub fn connect_error(dialect: Dialect, namespace: &str, message: &str, data: Option<RefusalData>) -> Message {
    #[derive(Serialize)]
    struct Refusal<'a> {
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<RefusalData>,
    }
    let packet = Packet {
        namespace: Cow::Borrowed(namespace),
        ..Packet::of(Kind::ConnectError, Some(Refusal { message, data }))
    };
    write(dialect, &packet)
}

/// Writes an event. Its last argument is the offset, or null: a client with recovery takes any text there for an offset. The id
/// of the event is the first field of its payload.
#[must_use]
pub fn event(dialect: Dialect, push: &Push<'_>) -> Message {
    write_event(dialect, push, Some(push.offset))
}

/// Writes an event for a client without recovery: the payload is its only argument.
#[must_use]
pub fn event_without_offset(dialect: Dialect, push: &Push<'_>) -> Message {
    write_event(dialect, push, None)
}

/// Writes the ack of an event.
#[must_use]
pub fn ack(dialect: Dialect, id: u64, data: &Json) -> Message {
    let packet = Packet {
        id: Some(id),
        ..Packet::of(Kind::Ack, Some([data]))
    };
    write(dialect, &packet)
}

/// Writes DISCONNECT: the client closes, and does not reconnect by itself.
#[must_use]
pub fn disconnect(dialect: Dialect) -> Message {
    write(dialect, &Packet::of(Kind::Disconnect, None::<()>))
}

/// Writes an event, with its offset as the last argument unless the client takes none.
fn write_event(dialect: Dialect, push: &Push<'_>, offset: Option<Option<&str>>) -> Message {
    debug_assert!(
        !is_reserved(push.event),
        "{} would make the client drop the connection",
        push.event
    );
    let payload = Payload::of(push);
    match (dialect, offset) {
        (Dialect::SocketIoMsgpack, Some(offset)) => {
            msgpack::write(&Packet::of(Kind::Event, Some((push.event, payload, offset))))
        }
        (Dialect::SocketIoMsgpack, None) => msgpack::write(&Packet::of(Kind::Event, Some((push.event, payload)))),
        (Dialect::SocketIo | Dialect::NativeJson | Dialect::NativeMsgpack, offset) => {
            text::write_event(push.event, &payload, offset)
        }
    }
}

fn write<D: Serialize>(dialect: Dialect, packet: &Packet<'_, D>) -> Message {
    match dialect {
        Dialect::SocketIoMsgpack => msgpack::write(packet),
        Dialect::SocketIo | Dialect::NativeJson | Dialect::NativeMsgpack => text::write(packet),
    }
}

impl<D> Packet<'static, D> {
    /// Packet of the root namespace.
    fn of(kind: Kind, data: Option<D>) -> Self {
        Self {
            kind,
            data,
            id: None,
            namespace: Cow::Borrowed(ROOT),
        }
    }
}
