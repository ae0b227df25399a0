//! socket.io-msgpack-parser: a packet is one binary message, the map `{type, data?, id?, nsp}`, its binary data inline.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use super::packet::{Kind, Packet};
use crate::wire::{FrameError, Message, msgpack};

/// Reads a packet. Other entries are ignored: the official client leaks its `options`.
pub(super) fn read(bytes: &[u8]) -> Result<Packet<'static, Value>, FrameError> {
    let Value::Object(mut packet) = msgpack::read(bytes)? else {
        return Err(FrameError("a packet is a map"));
    };
    let kind = packet
        .get("type")
        .and_then(Value::as_u64)
        .and_then(Kind::of)
        .ok_or(FrameError("no such Socket.IO packet type"))?;
    let Some(Value::String(namespace)) = packet.remove("nsp") else {
        return Err(FrameError("the namespace is not a text"));
    };
    let id = match packet.remove("id") {
        None | Some(Value::Null) => None,
        Some(id) => Some(
            id.as_u64()
                .ok_or(FrameError("the ack id is not a number that counts"))?,
        ),
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

/// Writes a packet.
pub(super) fn write<D: Serialize>(packet: &Packet<'_, D>) -> Message {
    Message::Binary(msgpack::write(packet))
}
