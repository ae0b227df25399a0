//! MessagePack: read within bounds into the values JSON has, and written from our frames.

use bytes::Bytes;
use rmpv::ValueRef;
use serde::Serialize;
use serde_json::{Map, Number, Value};

use super::FrameError;
use super::text::USUAL_SIZE;
use crate::time::Timestamp;

/// Reads one value and nothing after it, as the JSON it stands for. Reserves nothing on the word of a length prefix.
///
/// What JSON cannot say is not part of any command: bytes, extensions, infinities and NaN become null, and an entry whose key
/// is no text is left out, as unknown fields are. The check of the command then names the field.
pub(super) fn read(mut bytes: &[u8]) -> Result<Value, FrameError> {
    let value = rmpv::decode::read_value_ref_with_max_depth(&mut bytes, MAX_DEPTH)
        .map_err(|_where| FrameError("the bytes are not MessagePack"))?;
    if !bytes.is_empty() {
        return Err(FrameError("there are bytes after the MessagePack value"));
    }
    json(value)
}

/// Writes a frame of ours.
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

/// What stands before the items of an array (MessagePack specification, array format family).
pub(super) fn array(len: usize) -> Vec<u8> {
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(few @ 0..16), _) => vec![0x90 | few],
        (_, Ok(more)) => [&[0xdc][..], &more.to_be_bytes()].concat(),
        // Of more items than 32 bits count there is no array, and no memory.
        _ => [&[0xdd][..], &u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()].concat(),
    }
}

/// As deep as JSON may nest, 128: rmpv counts a container twice, once for its header and once for its content.
const MAX_DEPTH: usize = 2 * 128;

fn json(value: ValueRef<'_>) -> Result<Value, FrameError> {
    Ok(match value {
        ValueRef::Nil | ValueRef::Binary(_) => Value::Null,
        ValueRef::Boolean(flag) => Value::Bool(flag),
        ValueRef::Integer(number) => number
            .as_u64()
            .map_or_else(|| Value::from(number.as_i64()), Value::from),
        ValueRef::F32(number) => float(number.into()),
        ValueRef::F64(number) => float(number),
        ValueRef::String(text) => Value::from(text.into_str().ok_or(NOT_UTF_8)?),
        ValueRef::Array(items) => Value::Array(items.into_iter().map(json).collect::<Result<_, _>>()?),
        ValueRef::Map(entries) => object(entries)?,
        ValueRef::Ext(kind, bytes) => extension(kind, bytes),
    })
}

fn float(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

fn object(entries: Vec<(ValueRef<'_>, ValueRef<'_>)>) -> Result<Value, FrameError> {
    let mut object = Map::new();
    for (key, value) in entries {
        if let ValueRef::String(key) = key {
            object.insert(key.into_str().ok_or(NOT_UTF_8)?.to_owned(), json(value)?);
        }
    }
    Ok(Value::Object(object))
}

/// notepack.io, beneath socket.io-msgpack-parser, writes a `Date` as extension 0 with its milliseconds, and `undefined` as
/// extension 0 with one byte.
fn extension(kind: i8, bytes: &[u8]) -> Value {
    match (kind, <[u8; 8]>::try_from(bytes)) {
        (0, Ok(millis)) => Value::from(Timestamp::from_millis(i64::from_be_bytes(millis)).to_string()),
        _ => Value::Null,
    }
}

const NOT_UTF_8: FrameError = FrameError("a MessagePack text is not UTF-8");
