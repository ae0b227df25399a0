//! Input of real clients beside good UTF-8 and plain integers: it costs an answer at most, in every dialect.

use protocol::command::{Command, CommandKind};
use protocol::wire::native::{Encoding, Undecodable, decode};
use protocol::wire::socketio::{Decoder, Incoming};
use protocol::wire::{Message, Request, RequestId};
use rmpv::Value as Packed;
use serde_json::{Value, json};

use crate::peer::{pack, say, send};

/// Request in a message of a connected Socket.IO client.
fn socketio(message: &Message) -> Request {
    let mut decoder = Decoder::new();
    if matches!(message, Message::Text(_)) {
        decoder.decode(&say("40")).unwrap();
    }
    match decoder.decode(message) {
        Ok(Some(Incoming::Request(request))) => request,
        other => panic!("a request was expected, not {other:?}"),
    }
}

#[test]
fn lone_surrogates_are_read_anywhere_in_a_json_frame() {
    let lone = r#"{"deviceName":"My phone \ud83d","other":[{"\udc00":"\ud83d\ud83d\udcf1"}]}"#;
    let read = json!({"deviceName": "My phone \u{fffd}", "other": [{"\u{fffd}": "\u{fffd}\u{1f4f1}"}]});
    let native = |frame: String| decode(Encoding::Json, &say(&frame)).unwrap();
    assert_eq!(native(format!(r#"{{"event":"x","data":{lone}}}"#)).data, read);
    assert_eq!(native(format!(r#"{{"event":"x","more":{lone}}}"#)).data, Value::Null);
    let named = native(r#"{"event":"x\ud83d","id":"\ud83d"}"#.to_owned());
    assert_eq!(
        (named.event.as_str(), named.id),
        ("x\u{fffd}", Some(RequestId::Native(json!("\u{fffd}"))))
    );
    assert_eq!(socketio(&say(&format!(r#"427["x",{lone}]"#))).data, read);
    assert_eq!(socketio(&say(&format!(r#"42["x",{{}},{lone}]"#))).data, json!({}));
    let mut decoder = Decoder::new();
    let connect = decoder.decode(&say(&format!("40{lone}"))).unwrap();
    assert_eq!(
        connect,
        Some(Incoming::Connect {
            namespace: "/".to_owned(),
            auth: read
        })
    );
}

#[test]
fn json_frame_is_read_whatever_its_unknown_fields_contain() {
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    for odd in [
        "1e400",
        "-1e400",
        "-0.0",
        "99999999999999999999999",
        r#""\u0000""#,
        r#"{"\u0000":1,"a":1,"a":2}"#,
        &deep,
    ] {
        let native = decode(
            Encoding::Json,
            &say(&format!(r#"{{"event":"x","data":{{"more":{odd},"a":1}}}}"#)),
        );
        assert_eq!(native.unwrap().data["a"], 1, "{odd}");
        let event = socketio(&say(&format!(r#"427["x",{{"more":{odd},"a":1}}]"#)));
        assert_eq!(
            (&event.data["a"], event.id),
            (&json!(1), Some(RequestId::Ack(7))),
            "{odd}"
        );
    }
}

/// The data of a MessagePack frame with this `data`, from a plain WebSocket and from Socket.IO.
fn packed(data: &[u8]) -> [Value; 2] {
    let native = [b"\x82\xa5event\xa1x\xa4data".as_slice(), data].concat();
    let native = decode(Encoding::Msgpack, &send(&native)).unwrap().data;
    let event = [b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1x".as_slice(), data].concat();
    [native, socketio(&send(&event)).data]
}

#[test]
fn messagepack_text_that_is_no_utf_8_is_read_with_the_replacement_character() {
    for (text, read) in [
        // WTF-8: @msgpack/msgpack writes the surrogates of a short text as in JavaScript.
        (b"\xa9phone \xed\xa0\xbd".as_slice(), json!("phone \u{fffd}")),
        (b"\xa8phone \xed\xa0", json!("phone \u{fffd}")),
        (b"\xa6\xed\xa0\xbd\xed\xa0\xbd", json!("\u{fffd}\u{fffd}")),
        (b"\xa4a\xffb\xff", json!("a\u{fffd}b\u{fffd}")),
        (
            b"\x82\xa3a\xff\xff\x01\xa1b\x91\xa1\xff",
            json!({"a\u{fffd}\u{fffd}": 1, "b": ["\u{fffd}"]}),
        ),
    ] {
        assert_eq!(packed(text), [read.clone(), read], "{text:x?}");
    }
    let frame = decode(Encoding::Msgpack, &send(b"\x82\xa5event\xa2x\xff\xa1\xff\xa1\xff")).unwrap();
    assert_eq!(frame.event, "x\u{fffd}");
}

#[test]
fn messagepack_frame_is_read_whatever_its_unknown_fields_contain() {
    let deep = [vec![0x91; 30_000], vec![0xc0]].concat();
    let deep_maps = [b"\x81\xa1x".repeat(10_000), vec![0xc0]].concat();
    for odd in [
        // Timestamps of the specification, of notepack.io, and another extension.
        b"\xd6\xff\x00\x00\x00\x00".as_slice(),
        b"\xd7\xff\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\xd7\x00\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xc7\x0c\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\xc7\x00\xff",
        b"\xd4\x00\x00",
        // Bytes, floats beyond JSON, NUL, a repeated key, keys that are no texts.
        b"\xc4\x01\xff",
        b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00",
        b"\xca\x7f\xc0\x00\x00",
        b"\xa1\x00",
        b"\x82\xa1a\x01\xa1a\x02",
        b"\x82\x01\x01\xc0\x01",
        &deep,
        &deep_maps,
    ] {
        let data = [b"\x82\xa4more".as_slice(), odd, b"\xa1a\x01"].concat();
        for read in packed(&data) {
            assert_eq!(read["a"], 1, "{:x?}", &odd[..odd.len().min(16)]);
        }
    }
}

#[test]
fn truncated_messagepack_breaks_the_framing_at_any_depth() {
    for bytes in [vec![0x91; 30_000], b"\x81\xa1x".repeat(10_000)] {
        let frame = [b"\x82\xa5event\xa1x\xa4data".as_slice(), &bytes].concat();
        assert!(matches!(
            decode(Encoding::Msgpack, &send(&frame)),
            Err(Undecodable::Framing(_))
        ));
    }
}

#[test]
fn binary_event_of_older_python_socketio_is_read_in_messagepack() {
    // `MsgPackPacket` of python-socketio 5.4: the type says binary, the bytes are inline.
    let packet = |kind: u8, data: Vec<Packed>| {
        pack(&Packed::Map(vec![
            ("type".into(), kind.into()),
            ("data".into(), Packed::Array(data)),
            ("nsp".into(), "/".into()),
            ("id".into(), 3.into()),
        ]))
    };
    let data = Packed::Map(vec![
        ("a".into(), 1.into()),
        ("bytes".into(), Packed::Binary(vec![1, 2])),
    ]);
    let event = socketio(&packet(5, vec!["x".into(), data]));
    assert_eq!(
        (event.event.as_str(), event.data),
        ("x", json!({"a": 1, "bytes": null}))
    );
    assert_eq!(event.id, Some(RequestId::Ack(3)));
    let ack = Decoder::new().decode(&packet(6, vec![Packed::Binary(vec![1])]));
    assert_eq!(ack, Ok(Some(Incoming::Ignored)));
    for wrong in [
        packet(7, vec!["x".into()]),
        packet(5, vec![]),
        packet(5, vec!["connect".into()]),
    ] {
        assert!(Decoder::new().decode(&wrong).is_err());
    }
}

#[test]
fn numbers_of_a_messagepack_packet_may_be_floats() {
    let packet = |kind: Packed, id: Packed| {
        let data = Packed::Array(vec!["x".into()]);
        pack(&Packed::Map(vec![
            ("type".into(), kind),
            ("data".into(), data),
            ("nsp".into(), "/".into()),
            ("id".into(), id),
        ]))
    };
    assert_eq!(
        socketio(&packet(Packed::F64(2.0), Packed::F32(7.0))).id,
        Some(RequestId::Ack(7))
    );
    for (kind, id) in [
        (Packed::F64(2.5), 1.into()),
        (2.into(), Packed::F64(7.5)),
        (2.into(), Packed::F64(-7.0)),
    ] {
        assert!(Decoder::new().decode(&packet(kind, id)).is_err());
    }
}

fn timeout(written: &str) -> Result<Value, String> {
    let data = format!(r#"{{"userId":"u","settings":{{"sessionTimeout":{written}}}}}"#);
    let frame = decode(Encoding::Json, &say(&format!(r#"{{"event":"x","data":{data}}}"#))).unwrap();
    let command = Command::parse(CommandKind::UpdateSettings, frame.data).map_err(|error| error.to_string())?;
    let command = serde_json::to_value(command).unwrap();
    Ok(command
        .pointer("/data/settings/sessionTimeout")
        .cloned()
        .unwrap_or_default())
}

#[test]
fn integer_of_a_command_is_read_from_a_float_or_a_text() {
    for written in ["45", "45.0", "4.5e1", r#""45""#, r#""45.0""#] {
        assert_eq!(timeout(written), Ok(json!(45)), "{written}");
    }
    for written in [
        "45.5",
        "-0.5",
        "-45",
        "1e400",
        "-1e400",
        "4294967296",
        "99999999999999999999",
        r#""045""#,
        r#""45 min""#,
        r#""\ud83d""#,
    ] {
        assert_eq!(
            timeout(written).unwrap_err(),
            "settings.sessionTimeout: u32 was expected",
            "{written}"
        );
    }
    let settings = Packed::Map(vec![("sessionTimeout".into(), Packed::F64(45.0))]);
    let data = Packed::Map(vec![("userId".into(), "u".into()), ("settings".into(), settings)]);
    let frame = pack(&Packed::Map(vec![("event".into(), "x".into()), ("data".into(), data)]));
    let read = decode(Encoding::Msgpack, &frame).unwrap().data;
    let command = Command::parse(CommandKind::UpdateSettings, read).unwrap();
    assert_eq!(
        serde_json::to_value(command).unwrap()["data"]["settings"],
        json!({"sessionTimeout": 45})
    );
}

#[test]
fn nul_in_any_text_of_a_command_is_refused_by_its_field() {
    let whole = json!({
        "userId": "u", "accountType": "github", "oauthCode": "c", "redirectUri": "https://app/cb", "state": "s",
        "codeVerifier": "v", "sessionId": "s", "token": "t", "action": "a", "confirmationToken": "t", "alertId": "a",
        "settings": {"address": "a", "method": "sms"}, "after": "a", "idempotencyKey": "k\0", "more": "\0",
    });
    let texts = |kind: CommandKind| -> &[&str] {
        match kind {
            CommandKind::Authorize => &["redirectUri"],
            CommandKind::Connect => &["oauthCode", "redirectUri", "state", "codeVerifier"],
            CommandKind::VerifyTwoFactor => &["sessionId", "token"],
            CommandKind::RequestConfirmation => &["action"],
            CommandKind::RevokeAll => &["confirmationToken"],
            CommandKind::UpdateSettings => &["settings.address"],
            CommandKind::EndSessions => &["sessionId"],
            CommandKind::Refresh => &["token"],
            _ => &[],
        }
    };
    for kind in CommandKind::ALL {
        assert!(
            Command::parse(kind, whole.clone()).is_ok(),
            "{}: NUL where nobody reads it",
            kind.event()
        );
        for field in texts(kind) {
            let mut data = whole.clone();
            *data.pointer_mut(&format!("/{}", field.replace('.', "/"))).unwrap() = json!("a\0b");
            let refused = Command::parse(kind, data).unwrap_err().to_string();
            assert_eq!(
                refused,
                format!("{field}: a text without NUL was expected"),
                "{}",
                kind.event()
            );
        }
        let mut data = whole.clone();
        data["userId"] = json!("u\0");
        assert!(
            Command::parse(kind, data)
                .unwrap_err()
                .to_string()
                .starts_with("userId: "),
            "{}",
            kind.event()
        );
    }
}
