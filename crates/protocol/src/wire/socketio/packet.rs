//! Socket.IO packets, independent of the parser.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

/// Packet with its payload. The field names are those of socket.io-msgpack-parser, which writes a packet as this map.
#[derive(Debug, Serialize)]
pub(super) struct Packet<'a, D> {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<D>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<u64>,
    #[serde(rename = "nsp")]
    pub(super) namespace: Cow<'a, str>,
}

/// Packet types. The default parser's `BINARY_EVENT` and `BINARY_ACK` are other encodings of EVENT and ACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Connect = 0,
    Disconnect = 1,
    Event = 2,
    Ack = 3,
    ConnectError = 4,
}

impl Kind {
    pub(super) fn of(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Connect,
            1 => Self::Disconnect,
            2 => Self::Event,
            3 => Self::Ack,
            4 => Self::ConnectError,
            _ => return None,
        })
    }

    pub(super) fn number(self) -> u8 {
        self as u8
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

/// Only namespace that is served.
pub(super) const ROOT: &str = "/";

/// True for event names that Socket.IO reserves: the official parser closes on them, in both directions.
pub(super) fn is_reserved(event: &str) -> bool {
    const RESERVED: [&str; 6] = [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    ];
    RESERVED.contains(&event)
}
