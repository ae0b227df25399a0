//! The default parser: `<type>[<attachments>-][<namespace>,][<ack id>][JSON]`.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::attachments::MAX_ATTACHMENTS;
use super::packet::{Kind, Packet, ROOT};
use super::payload::Payload;
use crate::wire::text::{USUAL_SIZE, append, read as read_json};
use crate::wire::{FrameError, Message};

/// Reads a packet, and how many attachments follow it.
///
/// Ack ids are plain digits up to `u64`; the reference squeezes larger ones through a double, here they are refused. The
/// reference also takes a space for the digit 0, here it is the JSON's.
pub(super) fn read(packet: &str) -> Result<(Packet<'_, Value>, usize), FrameError> {
    let mut chars = packet.chars();
    let kind = chars.next();
    let rest = chars.as_str();
    let (kind, attachments, rest) = match kind {
        Some('5') => with_attachments(Kind::Event, rest)?,
        Some('6') => with_attachments(Kind::Ack, rest)?,
        Some(digit) => (plain_kind(digit)?, 0, rest),
        None => return Err(FrameError("a message without a packet")),
    };
    let (namespace, rest) = split_namespace(rest);
    let (id, rest) = split_ack_id(rest)?;
    let data = if rest.is_empty() {
        None
    } else {
        Some(read_json(rest.as_bytes())?)
    };
    let packet = Packet {
        kind,
        data,
        id,
        namespace: Cow::Borrowed(namespace),
    };
    Ok((packet, attachments))
}

/// Writes a packet, the Engine.IO digit in front.
pub(super) fn write<D: Serialize>(packet: &Packet<'_, D>) -> Message {
    let mut out = Vec::with_capacity(USUAL_SIZE);
    out.extend([b'4', b'0' + packet.kind.number()]);
    if packet.namespace != ROOT {
        out.extend_from_slice(packet.namespace.as_bytes());
        out.push(b',');
    }
    if let Some(id) = packet.id {
        out.extend_from_slice(id.to_string().as_bytes());
    }
    if let Some(data) = &packet.data {
        append(&mut out, data);
    }
    Message::Text(Bytes::from(out))
}

/// Writes an event of the root namespace, the Engine.IO digit in front, without a copy of its payload.
pub(super) fn write_event(name: &str, payload: &Payload<'_>, offset: Option<Option<&str>>) -> Message {
    let mut out = Vec::with_capacity(USUAL_SIZE);
    out.extend([b'4', b'0' + Kind::Event.number(), b'[']);
    append(&mut out, name);
    out.push(b',');
    payload.append_json(&mut out);
    if let Some(offset) = offset {
        out.push(b',');
        append(&mut out, &offset);
    }
    out.push(b']');
    Message::Text(Bytes::from(out))
}

fn plain_kind(digit: char) -> Result<Kind, FrameError> {
    digit
        .to_digit(10)
        .and_then(|number| Kind::of(number.into()))
        .ok_or(FrameError("no such Socket.IO packet type"))
}

fn with_attachments(kind: Kind, rest: &str) -> Result<(Kind, usize, &str), FrameError> {
    let (count, rest) = rest.split_once('-').ok_or(FrameError("no attachment count"))?;
    let plain = count.bytes().all(|byte| byte.is_ascii_digit());
    let count = count
        .parse()
        .ok()
        .filter(|_| plain)
        .ok_or(FrameError("no attachment count"))?;
    if !(1..=MAX_ATTACHMENTS).contains(&count) {
        return Err(FrameError("1 to 10 attachments are allowed"));
    }
    Ok((kind, count, rest))
}

/// The namespace goes up to the first comma or to the end.
fn split_namespace(rest: &str) -> (&str, &str) {
    if rest.starts_with('/') {
        rest.split_once(',').unwrap_or((rest, ""))
    } else {
        (ROOT, rest)
    }
}

fn split_ack_id(rest: &str) -> Result<(Option<u64>, &str), FrameError> {
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, json) = rest.split_at(digits);
    if digits.is_empty() {
        return Ok((None, json));
    }
    let id = digits
        .parse()
        .map_err(|_overflow| FrameError("the ack id is too large"))?;
    Ok((Some(id), json))
}
