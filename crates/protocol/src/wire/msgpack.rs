//! MessagePack: frames of clients read as JSON values within bounds, and frames of the server written.

mod prune;

use bytes::Bytes;
use rmpv::decode::{Error, read_value_ref_with_max_depth};
use rmpv::{Utf8StringRef, ValueRef};
use serde::Serialize;
use serde_json::{Map, Number, Value};

use self::prune::pruned;
use super::FrameError;
use super::text::USUAL_SIZE;
use crate::json::lenient::MAX_DEPTH;
use crate::time::Timestamp;

/// Reads one value and nothing after it, as JSON. A length prefix alone reserves no memory.
///
/// Values that JSON does not have are part of no command: bytes, extensions, infinities and NaN become null, and an entry whose key
/// is no text is left out, as unknown fields are. The check of the command then names the field. As in JSON, what is nested
/// deeper than [`MAX_DEPTH`] is null too; in a text, bytes that are no UTF-8 are U+FFFD.
pub(super) fn read(bytes: &[u8]) -> Result<Value, FrameError> {
    let value = match read_whole(bytes, 2 * MAX_DEPTH) {
        Err(Unread::TooDeep) => {
            let pruned = pruned(bytes, MAX_DEPTH).ok_or(Unread::Broken(NOT_MESSAGEPACK));
            pruned.and_then(|pruned| read_whole(&pruned, 3 * MAX_DEPTH))
        }
        read => read,
    };
    value.map_err(|unread| match unread {
        Unread::Broken(error) => error,
        Unread::TooDeep => NOT_MESSAGEPACK,
    })
}

/// rmpv recurses twice for each array and map, and once or more for what is in the innermost.
fn read_whole(mut bytes: &[u8], recursion: usize) -> Result<Value, Unread> {
    let value = read_value_ref_with_max_depth(&mut bytes, recursion).map_err(|error| match error {
        Error::DepthLimitExceeded => Unread::TooDeep,
        _ => Unread::Broken(NOT_MESSAGEPACK),
    })?;
    if bytes.is_empty() {
        Ok(json(value))
    } else {
        Err(Unread::Broken(FrameError(
            "there are bytes after the MessagePack value",
        )))
    }
}

/// Bytes that are not read as one value.
enum Unread {
    TooDeep,
    Broken(FrameError),
}

/// Writes a frame of the server.
#[expect(
    clippy::expect_used,
    reason = "our frames know their lengths, nest a few levels, and memory takes every byte"
)]
pub(super) fn write<T: Serialize>(frame: &T) -> Bytes {
    let mut out = Vec::with_capacity(USUAL_SIZE);
    let mut serializer = rmp_serde::Serializer::new(&mut out).with_struct_map();
    frame
        .serialize(&mut serializer)
        .expect("our own frames are writable as MessagePack");
    Bytes::from(out)
}

/// Header of an array (MessagePack specification, array format family).
pub(super) fn array(len: usize) -> Vec<u8> {
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(few @ 0..16), _) => vec![0x90 | few],
        (_, Ok(more)) => [&[0xdc][..], &more.to_be_bytes()].concat(),
        // More items than 32 bits count do not fit into memory.
        _ => [&[0xdd][..], &u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()].concat(),
    }
}

fn json(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Nil | ValueRef::Binary(_) => Value::Null,
        ValueRef::Boolean(flag) => Value::Bool(flag),
        ValueRef::Integer(number) => number
            .as_u64()
            .map_or_else(|| Value::from(number.as_i64()), Value::from),
        ValueRef::F32(number) => float(number.into()),
        ValueRef::F64(number) => float(number),
        ValueRef::String(string) => Value::from(text(&string)),
        ValueRef::Array(items) => Value::Array(items.into_iter().map(json).collect()),
        ValueRef::Map(entries) => object(entries),
        ValueRef::Ext(kind, bytes) => extension(kind, bytes),
    }
}

fn float(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// Reads a text. Some libraries write a lone surrogate of JavaScript as three bytes (WTF-8): together they are one U+FFFD.
fn text(string: &Utf8StringRef<'_>) -> String {
    if let Some(text) = string.as_str() {
        return text.to_owned();
    }
    let mut text = String::with_capacity(string.as_bytes().len());
    let mut after_invalid = false;
    for chunk in string.as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        let continues = after_invalid && chunk.valid().is_empty();
        if let Some(byte) = chunk.invalid().first()
            && !(continues && is_continuation(*byte))
        {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        after_invalid = true;
    }
    text
}

/// True for a continuation byte of UTF-8.
fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

fn object(entries: Vec<(ValueRef<'_>, ValueRef<'_>)>) -> Value {
    let entries = entries.into_iter().filter_map(|(key, value)| match key {
        ValueRef::String(key) => Some((text(&key), json(value))),
        _ => None,
    });
    Value::Object(entries.collect::<Map<_, _>>())
}

/// notepack.io, beneath socket.io-msgpack-parser, writes a `Date` as extension 0 with its milliseconds, and `undefined` as
/// extension 0 with one byte.
fn extension(kind: i8, bytes: &[u8]) -> Value {
    match (kind, <[u8; 8]>::try_from(bytes)) {
        (0, Ok(millis)) => Value::from(Timestamp::from_millis(i64::from_be_bytes(millis)).to_string()),
        _ => Value::Null,
    }
}

const NOT_MESSAGEPACK: FrameError = FrameError("the bytes are not MessagePack");
