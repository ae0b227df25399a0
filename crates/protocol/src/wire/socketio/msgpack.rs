//! socket.io-msgpack-parser: a packet is one binary message, the map `{type, data?, id?, nsp}`, its binary data inline.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use super::packet::{Kind, Packet};
use crate::json::lenient;
use crate::wire::{FrameError, Message, msgpack};

/// Reads a packet. Other entries are ignored: the official client sends its `options` too. Numbers may be floats.
pub(super) fn read(bytes: &[u8]) -> Result<Packet<'static, Value>, FrameError> {
    let Value::Object(mut packet) = msgpack::read(bytes)? else {
        return Err(FrameError("a packet is a map"));
    };
    let kind = packet
        .remove("type")
        .and_then(|number| lenient::read(number).ok())
        .and_then(kind)
        .ok_or(FrameError("no such Socket.IO packet type"))?;
    let Some(Value::String(namespace)) = packet.remove("nsp") else {
        return Err(FrameError("the namespace is not a text"));
    };
    let id = match packet.remove("id") {
        None | Some(Value::Null) => None,
        Some(id) => {
            let id = lenient::read(id).map_err(|_no_number| FrameError("the ack id is not a number that counts"))?;
            Some(id)
        }
    };
    // The official client writes the payload it does not have as `undefined`, which reads as null.
    let data = packet.remove("data").filter(|data| !data.is_null());
    if data.is_none() && matches!(kind, Kind::Event | Kind::Ack) {
        return Err(FrameError("an event or ack without its payload"));
    }
    Ok(Packet {
        kind,
        data,
        id,
        namespace: Cow::Owned(namespace),
    })
}

/// Kind of a packet. python-socketio before 5.5 writes an event or ack with bytes as `BINARY_EVENT` or `BINARY_ACK`, although
/// the bytes are inline.
fn kind(number: u64) -> Option<Kind> {
    match number {
        5 => Some(Kind::Event),
        6 => Some(Kind::Ack),
        _ => Kind::of(number),
    }
}

/// Writes a packet.
pub(super) fn write<D: Serialize>(packet: &Packet<'_, D>) -> Message {
    Message::Binary(msgpack::write(packet))
}
