//! Plain WebSocket: input that costs an error reply, and input that costs the connection.

use protocol::wire::native::{Encoding, Undecodable, decode};
use protocol::wire::{Dialect, FrameError, Message, RequestId};
use serde_json::{Value, json};

use crate::peer::{encoding, say, send, written};

const NATIVE: [Dialect; 2] = [Dialect::NativeJson, Dialect::NativeMsgpack];

fn framing(encoding: Encoding, message: &Message) -> FrameError {
    match decode(encoding, message) {
        Err(Undecodable::Framing(error)) => error,
        other => panic!("a framing error was expected, not {other:?}"),
    }
}

#[test]
fn frame_without_a_readable_event_is_answered_under_its_id() {
    for dialect in NATIVE {
        for event in [json!(null), json!(7), json!(["x"]), json!({"x": 1})] {
            let frame = written(dialect, &json!({"event": event, "data": {}, "id": "a1"}));
            let id = Some(RequestId::Native(json!("a1")));
            assert_eq!(
                decode(encoding(dialect).unwrap(), &frame),
                Err(Undecodable::NoEvent { id })
            );
        }
        let nothing = decode(encoding(dialect).unwrap(), &written(dialect, &json!({})));
        assert_eq!(nothing, Err(Undecodable::NoEvent { id: None }));
    }
}

#[test]
fn id_that_is_neither_text_nor_number_counts_as_none() {
    for dialect in NATIVE {
        for id in [json!(null), json!(true), json!([1]), json!({"a": 1})] {
            let frame = written(dialect, &json!({"event": "x", "id": id}));
            assert_eq!(decode(encoding(dialect).unwrap(), &frame).unwrap().id, None, "{id}");
        }
    }
}

#[test]
fn missing_data_is_null_and_unknown_fields_are_ignored() {
    for dialect in NATIVE {
        let frame = written(dialect, &json!({"event": "x", "offset": "0-7", "more": [1, 2]}));
        assert_eq!(decode(encoding(dialect).unwrap(), &frame).unwrap().data, Value::Null);
    }
}

#[test]
fn frame_that_is_no_object_breaks_the_framing() {
    for dialect in NATIVE {
        for value in [
            json!([{"event": "x"}]),
            json!([]),
            json!("x"),
            json!(7),
            json!(null),
            json!(true),
        ] {
            framing(encoding(dialect).unwrap(), &written(dialect, &value));
        }
    }
}

#[test]
fn frame_that_is_no_json_breaks_the_framing() {
    for text in [
        "",
        " ",
        "{",
        "{\"event\":\"x\"",
        "{\"event\":\"x\"}{}",
        "{'event':'x'}",
        "\u{feff}{}",
        "{\"event\":\"\\ud80\"}",
    ] {
        framing(Encoding::Json, &say(text));
    }
    framing(
        Encoding::Json,
        &Message::Text(b"{\"event\":\"\xff\"}".as_slice().into()),
    );
    framing(Encoding::Json, &say(&"{\"data\":".repeat(5_000)));
}

#[test]
fn wrong_kind_of_message_breaks_the_framing() {
    framing(Encoding::Json, &written(Dialect::NativeMsgpack, &json!({"event": "x"})));
    framing(Encoding::Json, &send(br#"{"event":"x"}"#));
    framing(Encoding::Msgpack, &written(Dialect::NativeJson, &json!({"event": "x"})));
}

#[test]
fn error_names_the_fault_and_not_the_content() {
    let error = framing(Encoding::Json, &say(r#"{"event":"auth","data":{"token":"hunter2"}"#));
    assert_eq!(error.to_string(), "the text is not JSON");
    let frame = written(
        Dialect::NativeJson,
        &json!({"event": "auth", "data": {"token": "hunter2"}}),
    );
    let request = decode(Encoding::Json, &frame).unwrap();
    assert!(!format!("{request:?}").contains("hunter2"));
}
