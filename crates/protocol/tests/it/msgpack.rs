//! MessagePack of clients: values that JSON does not have, and hostile input.

use protocol::json::Json;
use protocol::wire::native::{Encoding, Undecodable, decode, push};
use protocol::wire::{Dialect, Push};
use rmpv::Value as Packed;
use serde_json::{Value, json};

use crate::peer::{self, ReceivedEvent, pack, send};

/// Payload that is decoded from this `data` on a native socket.
fn data(packed: Packed) -> Value {
    let frame = Packed::Map(vec![("event".into(), "x".into()), ("data".into(), packed)]);
    decode(Encoding::Msgpack, &pack(&frame)).unwrap().data
}

fn breaks_the_framing(bytes: &[u8]) {
    let read = decode(Encoding::Msgpack, &send(bytes));
    let start = bytes.get(..16).unwrap_or(bytes);
    assert!(matches!(read, Err(Undecodable::Framing(_))), "{start:x?}");
}

#[test]
fn values_that_json_does_not_have_are_null() {
    for packed in [
        Packed::Binary(vec![1, 2, 3]),
        Packed::F64(f64::NAN),
        Packed::F64(f64::INFINITY),
        Packed::F32(f32::NEG_INFINITY),
        Packed::Ext(0, vec![0]),
        Packed::Ext(1, vec![0; 8]),
        Packed::Ext(-1, vec![0; 4]),
    ] {
        assert_eq!(data(packed.clone()), Value::Null, "{packed}");
    }
}

#[test]
fn javascript_date_is_read_as_its_iso_text() {
    let date = |millis: i64| data(Packed::Ext(0, millis.to_be_bytes().to_vec()));
    assert_eq!(date(1_795_451_460_007), json!("2026-11-23T16:31:00.007Z"));
    assert_eq!(date(-1), json!("1969-12-31T23:59:59.999Z"));
    assert_eq!(date(i64::MIN), json!("0001-01-01T00:00:00.000Z"));
}

#[test]
fn numbers_keep_their_value() {
    for (packed, value) in [
        (Packed::from(u64::MAX), json!(u64::MAX)),
        (Packed::from(i64::MIN), json!(i64::MIN)),
        (Packed::from(-1), json!(-1)),
        (Packed::F32(0.5), json!(0.5)),
        (Packed::F64(-2.5e300), json!(-2.5e300)),
    ] {
        assert_eq!(data(packed), value);
    }
}

#[test]
fn entry_whose_key_is_no_text_is_ignored() {
    let map = Packed::Map(vec![
        (7.into(), "seven".into()),
        (Packed::Nil, "nil".into()),
        (Packed::Binary(b"a".to_vec()), 1.into()),
        (Packed::Map(vec![(Packed::Nil, Packed::Nil)]), 2.into()),
        ("a".into(), 3.into()),
        ("a".into(), 4.into()),
    ]);
    assert_eq!(data(map), json!({"a": 4}));
}

#[test]
fn broken_bytes_break_the_framing() {
    for bytes in [
        b"".as_slice(),
        b"\x81",
        b"\x81\xa5event",
        b"\x81\xa5event\xa2x",
        b"\x81\xa5event\xa1x\xc0",
        b"\x81\xa5event\xa1x\x81\xa5event\xa1x",
        b"\x81\xa5event\xcf\x00",
    ] {
        breaks_the_framing(bytes);
    }
}

#[test]
fn length_prefix_alone_reserves_no_memory() {
    for bytes in [
        b"\xdd\xff\xff\xff\xff".as_slice(),
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x00",
        b"\xdc\xff\xff",
        b"\xde\xff\xff",
    ] {
        breaks_the_framing(bytes);
        breaks_the_framing(&[b"\x82\xa5event\xa1x\xa4data".as_slice(), bytes].concat());
        // Each level claims the same length again.
        breaks_the_framing(&bytes.repeat(60));
    }
}

#[test]
fn nesting_is_bounded_as_in_json() {
    let depth = |levels: usize, innermost: &[u8]| {
        let frame = [b"\x82\xa5event\xa1x\xa4data".as_slice(), &vec![0x91; levels], innermost].concat();
        let mut data = &decode(Encoding::Msgpack, &send(&frame)).unwrap().data;
        let mut depth = 0;
        while let Value::Array(items) = data {
            (data, depth) = (&items[0], depth + 1);
        }
        (depth, data.clone())
    };
    // The frame itself is one of 127 levels.
    assert_eq!(depth(126, b"\xa1x"), (126, json!("x")));
    assert_eq!(depth(126, b"\xd6\xff\x00\x00\x00\x00"), (126, Value::Null));
    assert_eq!(depth(127, b"\xa1x"), (126, Value::Null));
    assert_eq!(depth(60_000, b"\xc0"), (126, Value::Null));
    breaks_the_framing(&b"\x81\xa1x".repeat(20_000));
}

#[test]
fn payload_that_cannot_be_read_back_is_null_in_a_complete_frame() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for text in [deep.as_str(), r#"["\ud800"]"#, "[1e999]"] {
        let data = Json::parse(text.to_owned()).unwrap();
        let event = Push {
            event: "x",
            data: &data,
            offset: Some("0-7"),
            event_id: None,
        };
        let received = peer::receive(Dialect::NativeMsgpack, &push(Encoding::Msgpack, &event));
        let arguments = vec![Value::Null, json!("0-7")];
        assert_eq!(
            received,
            ReceivedEvent {
                event: "x".to_owned(),
                arguments
            }
        );
    }
}
