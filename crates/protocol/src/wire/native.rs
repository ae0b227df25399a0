//! Plain WebSocket: one frame is one object, in JSON or in MessagePack.

use serde::Serialize;
use serde_json::Value;

use super::text::USUAL_SIZE;
use super::{FrameError, Message, Push, Request, RequestId, msgpack, text};
use crate::json::Json;

/// Encoding of frames, chosen by the subprotocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `postern.v1.json`: text messages.
    Json,
    /// `postern.v1.msgpack`: binary messages.
    Msgpack,
}

/// Message that is no request.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Undecodable {
    /// The framing is broken: the connection is closed.
    #[error(transparent)]
    Framing(#[from] FrameError),
    /// The frame has no readable `event`: it is answered with `error`, and the connection goes on.
    #[error("the frame names no event")]
    NoEvent {
        /// Id that the answer carries.
        id: Option<RequestId>,
    },
}

/// Decodes a message of a client. An `id` that is neither text nor number counts as none; unknown fields are ignored.
///
/// # Errors
/// [`Undecodable::Framing`] when the message is not one object in the encoding of this socket (only the server sends arrays),
/// [`Undecodable::NoEvent`] when `event` is missing or no text.
pub fn decode(encoding: Encoding, message: &Message) -> Result<Request, Undecodable> {
    let frame = match (encoding, message) {
        (Encoding::Json, Message::Text(json)) => text::read(json)?,
        (Encoding::Msgpack, Message::Binary(bytes)) => msgpack::read(bytes)?,
        (Encoding::Json, Message::Binary(_)) => return Err(FrameError("a binary message on a JSON socket").into()),
        (Encoding::Msgpack, Message::Text(_)) => {
            return Err(FrameError("a text message on a MessagePack socket").into());
        }
    };
    let Value::Object(mut frame) = frame else {
        return Err(FrameError("a frame is an object").into());
    };
    let id = frame
        .remove("id")
        .filter(|id| id.is_string() || id.is_number())
        .map(RequestId::Native);
    let Some(Value::String(event)) = frame.remove("event") else {
        return Err(Undecodable::NoEvent { id });
    };
    Ok(Request {
        event,
        data: frame.remove("data").unwrap_or_default(),
        id,
    })
}

/// Writes an event: `{"event", "data", "offset", "eventId"}`, offset null for events outside the log, and `eventId` only where
/// the event has one.
#[must_use]
pub fn push(encoding: Encoding, push: &Push<'_>) -> Message {
    write(encoding, push)
}

/// Joins frames of this encoding into one message: an array in the same order.
#[must_use]
pub fn batch(encoding: Encoding, frames: &[Message]) -> Message {
    let frames: Vec<&[u8]> = frames.iter().map(Message::bytes).collect();
    match encoding {
        Encoding::Json => Message::Text([b"[", frames.join(&b","[..]).as_slice(), b"]"].concat().into()),
        Encoding::Msgpack => Message::Binary([msgpack::array(frames.len()), frames.concat()].concat().into()),
    }
}

/// Writes the answer to a request: `{"event", "data", "id"}`, the id unchanged, or absent if the request had none.
#[must_use]
pub fn answer(encoding: Encoding, event: &str, data: &Json, id: Option<&RequestId>) -> Message {
    write(encoding, &AnswerFrame { event, data, id })
}

#[derive(Serialize)]
struct AnswerFrame<'a> {
    event: &'a str,
    data: &'a Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RequestId>,
}

fn write<T: Serialize>(encoding: Encoding, frame: &T) -> Message {
    match encoding {
        Encoding::Json => {
            let mut out = Vec::with_capacity(USUAL_SIZE);
            text::append(&mut out, frame);
            Message::Text(out.into())
        }
        Encoding::Msgpack => Message::Binary(msgpack::write(frame)),
    }
}
