//! Socket.IO packets (protocol version 5) of both parsers.

use serde_json::{Map, Value, json};

use crate::fail::OrFail as _;

/// Parser of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Parser {
    /// Default parser: text.
    #[default]
    Text,
    /// `socket.io-msgpack-parser`: a map in one binary message.
    Msgpack,
}

/// Packet of the namespace `/`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Packet {
    pub(super) kind: PacketKind,
    pub(super) id: Option<u64>,
    /// Auth or answer object, or the array of an event or ack; null when there is none.
    pub(super) data: Value,
}

/// Packet types without binary attachments, with their numbers on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PacketKind {
    Connect = 0,
    Disconnect = 1,
    Event = 2,
    Ack = 3,
    ConnectError = 4,
}

impl PacketKind {
    fn from_number(number: u64) -> Option<Self> {
        [
            Self::Connect,
            Self::Disconnect,
            Self::Event,
            Self::Ack,
            Self::ConnectError,
        ]
        .into_iter()
        .find(|kind| *kind as u64 == number)
    }
}

impl Packet {
    /// Engine.IO message of the default parser: `4`, the type, the id, the JSON.
    pub(super) fn text(&self) -> String {
        let id = self.id.map(|id| id.to_string()).unwrap_or_default();
        let data = if self.data.is_null() {
            String::new()
        } else {
            self.data.to_string()
        };
        format!("4{}{id}{data}", self.kind as u8)
    }

    /// Binary message of the msgpack parser, with the `options` that the official client leaks.
    pub(super) fn msgpack(&self) -> Vec<u8> {
        let optional = [("id", self.id.map(Value::from)), ("data", Some(self.data.clone()))];
        let mut map = Map::from_iter([
            ("type".to_owned(), json!(self.kind as u8)),
            ("nsp".to_owned(), json!("/")),
            ("options".to_owned(), json!({ "compress": true })),
        ]);
        for (key, value) in optional {
            if let Some(value) = value.filter(|value| !value.is_null()) {
                map.insert(key.to_owned(), value);
            }
        }
        rmp_serde::to_vec_named(&map).or_fail("write MessagePack")
    }

    /// Packet as JSON: `type`, `id`, `data`.
    pub(super) fn value(&self) -> Value {
        json!({ "type": self.kind as u8, "id": self.id, "data": self.data })
    }

    /// Parses the text after the `4` of a text message; `None` when this client does not know the packet.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let mut rest = text.chars();
        let kind = PacketKind::from_number(rest.next()?.to_digit(10)?.into())?;
        let rest = rest.as_str();
        let rest = rest.strip_prefix("/,").unwrap_or(rest);
        let data_at = rest
            .find(|character: char| !character.is_ascii_digit())
            .unwrap_or(rest.len());
        let (id, data) = rest.split_at_checked(data_at)?;
        let data = if data.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(data).ok()?
        };
        Some(Self {
            kind,
            id: id.parse().ok(),
            data,
        })
    }

    /// Parses a binary message of the msgpack parser; `None` when this client does not know the packet.
    pub(super) fn from_msgpack(bytes: &[u8]) -> Option<Self> {
        let map: Value = rmp_serde::from_slice(bytes).ok()?;
        if map.get("nsp")? != "/" {
            return None;
        }
        let kind = PacketKind::from_number(map.get("type")?.as_u64()?)?;
        let id = map.get("id").and_then(Value::as_u64);
        Some(Self {
            kind,
            id,
            data: map.get("data").cloned().unwrap_or_default(),
        })
    }
}
