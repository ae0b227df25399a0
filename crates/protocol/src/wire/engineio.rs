//! Engine.IO v4 over WebSocket, beneath Socket.IO: one message is one packet, a type digit and its data. A binary message is a
//! `message` packet without its digit.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::{FrameError, Message, text};

/// First packet of the server.
#[derive(Debug, Clone, Copy)]
pub struct Open<'a> {
    /// Id of the Engine.IO session; Socket.IO sends another one when it connects.
    pub sid: &'a str,
    /// Time from a pong to the next ping.
    pub ping_interval: Duration,
    /// Time within which a pong must arrive.
    pub ping_timeout: Duration,
    /// Longest message of a client, in bytes.
    pub max_payload: usize,
}

/// Writes the open packet. Times are in milliseconds; `upgrades` must be there, or the official client fails.
#[must_use]
pub fn open(open: &Open<'_>) -> Message {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Handshake<'a> {
        sid: &'a str,
        upgrades: [&'a str; 0],
        ping_interval: u128,
        ping_timeout: u128,
        max_payload: usize,
    }
    let handshake = Handshake {
        sid: open.sid,
        upgrades: [],
        ping_interval: open.ping_interval.as_millis(),
        ping_timeout: open.ping_timeout.as_millis(),
        max_payload: open.max_payload,
    };
    let mut out = b"0".to_vec();
    text::append(&mut out, &handshake);
    Message::Text(out.into())
}

/// Writes a ping. Only the server pings.
#[must_use]
pub fn ping() -> Message {
    Message::Text(Bytes::from_static(b"2"))
}

/// Text packet of a client.
pub(super) enum EngineIoPacket<'a> {
    /// `4`: a Socket.IO packet.
    Message(&'a str),
    /// `3`: answer to a ping.
    Pong,
    /// `0`, `1`, `5`, `6`: without meaning here. The reference ignores them, `1` (close) too.
    Ignored,
}

/// Reads a text message. A client that pings uses Engine.IO 3, and the reference closes.
pub(super) fn read(message: &[u8]) -> Result<EngineIoPacket<'_>, FrameError> {
    let message = std::str::from_utf8(message).map_err(|_where| FrameError("the text is not UTF-8"))?;
    let mut chars = message.chars();
    match chars.next() {
        Some('4') => Ok(EngineIoPacket::Message(chars.as_str())),
        Some('3') => Ok(EngineIoPacket::Pong),
        Some('0' | '1' | '5' | '6') => Ok(EngineIoPacket::Ignored),
        Some('2') => Err(FrameError("only the server pings")),
        Some(_) => Err(FrameError("no such Engine.IO packet type")),
        None => Err(FrameError("an empty message")),
    }
}
