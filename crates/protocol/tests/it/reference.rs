//! Odd input, treated as by the reference server (socket.io 4.8.4, measured): closed on, or accepted.

use protocol::wire::socketio::{Decoder, Incoming};
use protocol::wire::{Dialect, FrameError, Message, Request, RequestId};
use serde_json::{Value, json};

use crate::peer::{pack, say, send};

/// Meaning of the last of these messages to a decoder that has read the others.
fn last(messages: &[Message]) -> Result<Option<Incoming>, FrameError> {
    let mut decoder = Decoder::new();
    let (last, before) = messages.split_last().unwrap();
    for message in before {
        decoder.decode(message).unwrap();
    }
    decoder.decode(last)
}

fn connected_then(text: &str) -> Result<Option<Incoming>, FrameError> {
    last(&[say("40"), say(text)])
}

fn request(event: &str, data: Value, ack: Option<u64>) -> Incoming {
    Incoming::Request(Request {
        event: event.to_owned(),
        data,
        id: ack.map(RequestId::Ack),
    })
}

#[test]
fn broken_engineio_packets_close() {
    for text in ["abc", "7", "", "2", "2probe", "8", "9", "\u{663}", "bAQID"] {
        assert!(connected_then(text).is_err(), "{text:?}");
    }
    assert!(last(&[Message::Text(b"42[\"\xff\"]".as_slice().into())]).is_err());
}

#[test]
fn broken_socketio_packets_close() {
    for text in ["4", "4abc", "47", "49[\"x\"]", "4\u{663}"] {
        assert!(connected_then(text).is_err(), "{text:?}");
    }
}

#[test]
fn broken_events_close() {
    for text in [
        r"42[]",
        r"42{}",
        r"42null",
        r#"42["x""#,
        r#"42["x"]zzz"#,
        r"42[null]",
        r"42[{}]",
        r"42[true]",
        r"42[[]]",
        r#"42abc["x"]"#,
        r#"42-1["x"]"#,
        r#"421.5["x"]"#,
        r#"42 1["x"]"#,
        r#"42"x""#,
        r"42-1",
    ] {
        assert!(connected_then(text).is_err(), "{text}");
    }
}

#[test]
fn reserved_event_names_close() {
    for name in [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    ] {
        assert!(connected_then(&format!("42[\"{name}\"]")).is_err(), "{name}");
        let packet = rmpv::ext::to_value(json!({"type": 2, "data": [name], "nsp": "/"})).unwrap();
        assert!(last(&[pack(&packet)]).is_err(), "{name} in MessagePack");
    }
}

#[test]
fn broken_connects_disconnects_and_acks_close() {
    for text in [
        r"435{}",
        r"43null",
        r#"43"x""#,
        r"41{}",
        r"41[]",
        r"40[]",
        r#"40"x""#,
        r"40null",
        r#"40{"a""#,
        r"44",
        r#"44{"message":"no"}"#,
    ] {
        assert!(last(&[say(text)]).is_err(), "{text}");
    }
}

#[test]
fn packets_for_a_namespace_that_was_not_joined_close() {
    for text in [
        r#"42/admin,["x"]"#,
        r#"42/admin,7["x"]"#,
        r"43/admin,7[]",
        r#"42/["x",1]"#,
        r#"42//,["x"]"#,
    ] {
        assert!(connected_then(text).is_err(), "{text}");
    }
}

#[test]
fn broken_attachment_headers_close() {
    for text in [
        r#"45["x"]"#,
        r"450-",
        r#"450-["x"]"#,
        r"45abc-",
        r"45-1-",
        r#"45-1["x"]"#,
        r#"45+1-["x"]"#,
        r"4511-",
        r#"4511-["x"]"#,
        r#"4599999999999999999999-["x"]"#,
        r#"451-{"_placeholder":true,"num":0}"#,
        r#"451-[{"_placeholder":true,"num":0}]"#,
        r#"451-["connect",{"_placeholder":true,"num":0}]"#,
        r#"451-/admin,["x",{"_placeholder":true,"num":0}]"#,
        r"461-7{}",
    ] {
        assert!(connected_then(text).is_err(), "{text}");
    }
}

#[test]
fn placeholders_for_no_attachment_close() {
    for number in ["1", "-1", "\"0\"", "0.5", "null", "18446744073709551616"] {
        let header = format!(r#"451-["x",{{"deep":[{{"_placeholder":true,"num":{number}}}]}}]"#);
        assert!(connected_then(&header).is_err(), "{number}");
    }
    assert!(connected_then(r#"451-["x",{"_placeholder":true}]"#).is_err());
}

#[test]
fn attachments_without_a_header_and_headers_without_attachments_close() {
    let header = r#"452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    assert!(last(&[say("40"), send(&[1])]).is_err());
    assert!(last(&[say("40"), say(header), say("42[\"y\"]")]).is_err());
    assert!(last(&[say("40"), say(header), send(&[1]), say("41")]).is_err());
    assert!(last(&[say("40"), say(header), send(&[1]), send(&[2]), send(&[3])]).is_err());
}

#[test]
fn binary_event_is_decoded_with_its_last_attachment() {
    let header = r#"452-7["bin",{"a":{"_placeholder":true,"num":0},"b":1},{"_placeholder":true,"num":1}]"#;
    assert_eq!(last(&[say("40"), say(header)]), Ok(None));
    assert_eq!(last(&[say("40"), say(header), send(&[1, 2, 3, 4])]), Ok(None));
    let whole = last(&[say("40"), say(header), send(&[1, 2, 3, 4]), send(&[])]);
    assert_eq!(whole, Ok(Some(request("bin", json!({"a": null, "b": 1}), Some(7)))));
    let next = last(&[say("40"), say(header), send(&[1]), send(&[2]), say("42[\"y\"]")]);
    assert_eq!(next, Ok(Some(request("y", Value::Null, None))));
}

#[test]
fn engineio_packets_may_come_between_attachments() {
    let header = r#"451-["x",{"_placeholder":true,"num":0}]"#;
    assert_eq!(last(&[say("40"), say(header), say("3")]), Ok(Some(Incoming::Pong)));
    let whole = last(&[say("40"), say(header), say("3"), send(&[1])]);
    assert_eq!(whole, Ok(Some(request("x", Value::Null, None))));
}

#[test]
fn attachments_are_bounded_in_number_and_in_total_size() {
    let ten: Vec<_> = (0..10).map(|num| json!({"_placeholder": true, "num": num})).collect();
    let header = say(&format!("4510-{}", json!(["x", ten])));
    let mut messages = vec![say("40"), header];
    messages.extend(std::iter::repeat_n(send(&[0; 6_553]), 9));
    messages.push(send(&[0; 6_559]));
    assert!(matches!(last(&messages), Ok(Some(Incoming::Request(_)))));
    *messages.last_mut().unwrap() = send(&[0; 6_560]);
    assert!(last(&messages).is_err());
}

#[test]
fn attachment_without_a_placeholder_is_accepted() {
    let header = r#"452-["x",{"_placeholder":true,"num":0}]"#;
    let whole = last(&[say("40"), say(header), send(&[1]), send(&[2])]);
    assert_eq!(whole, Ok(Some(request("x", Value::Null, None))));
}

#[test]
fn placeholder_in_a_plain_event_is_plain_data() {
    let placeholder = json!({"_placeholder": true, "num": 7});
    let read = connected_then(&format!("42{}", json!(["x", placeholder])));
    assert_eq!(read, Ok(Some(request("x", placeholder, None))));
}

#[test]
fn event_without_a_usable_name_is_accepted() {
    assert_eq!(connected_then("42"), Ok(Some(Incoming::NoEvent { ack: None })));
    assert_eq!(connected_then("427"), Ok(Some(Incoming::NoEvent { ack: Some(7) })));
    assert_eq!(connected_then("42[1,2]"), Ok(Some(Incoming::NoEvent { ack: None })));
    assert_eq!(connected_then("427[1,2]"), Ok(Some(Incoming::NoEvent { ack: Some(7) })));
    assert_eq!(connected_then(r#"42[""]"#), Ok(Some(request("", Value::Null, None))));
    assert_eq!(
        connected_then(r#"42["error"]"#),
        Ok(Some(request("error", Value::Null, None)))
    );
}

#[test]
fn acks_are_ignored() {
    for text in [
        "43",
        "435",
        "435[]",
        r#"43[{"ok":true}]"#,
        r#"430["answer",{"ok":true}]"#,
    ] {
        assert_eq!(connected_then(text), Ok(Some(Incoming::Ignored)), "{text}");
    }
    let binary = [say("40"), say(r#"461-2[{"_placeholder":true,"num":0}]"#), send(&[5, 6])];
    assert_eq!(last(&binary), Ok(Some(Incoming::Ignored)));
}

#[test]
fn engineio_packets_without_meaning_here_are_ignored() {
    for text in ["0", "1", "5", "6", "0{}", "1x", "6noop"] {
        assert_eq!(connected_then(text), Ok(Some(Incoming::Ignored)), "{text}");
    }
    assert_eq!(connected_then("3"), Ok(Some(Incoming::Pong)));
    assert_eq!(connected_then("3probe"), Ok(Some(Incoming::Pong)));
}

#[test]
fn client_may_connect_again_after_its_disconnect() {
    let left = Incoming::Disconnect {
        namespace: "/".to_owned(),
    };
    assert_eq!(connected_then("41"), Ok(Some(left)));
    let back = last(&[say("40"), say("41"), say(r#"40{"token":"good"}"#)]);
    assert_eq!(
        back,
        Ok(Some(Incoming::Connect {
            namespace: "/".to_owned(),
            auth: json!({"token": "good"}),
        }))
    );
}

#[test]
fn ack_ids_are_exact_up_to_64_bits_and_refused_beyond() {
    // The reference echoes 9007199254740993 (2^53 + 1) through a double, as 9007199254740992.
    for ack in [0, 9_007_199_254_740_993, 10_000_000_000_000_000_000, u64::MAX] {
        let read = connected_then(&format!("42{ack}[\"x\"]"));
        assert_eq!(read, Ok(Some(request("x", Value::Null, Some(ack)))), "{ack}");
    }
    assert!(connected_then(r#"4218446744073709551616["x"]"#).is_err());
    assert!(connected_then(r#"42100000000000000000000["x"]"#).is_err());
}

#[test]
fn space_is_no_ack_id() {
    // The reference reads the space as the digit 0 and sends `430[]`, which its documentation does not ask for.
    assert_eq!(connected_then(r#"42 ["x"]"#), Ok(Some(request("x", Value::Null, None))));
}

#[test]
fn odd_json_is_read_as_javascript_reads_it() {
    let read = connected_then(r#"42["x",{"__proto__":{"a":1},"b":1,"b":2}]"#);
    assert_eq!(
        read,
        Ok(Some(request("x", json!({"__proto__": {"a": 1}, "b": 2}), None)))
    );
}

#[test]
fn first_packet_decides_the_parser_and_a_mismatch_closes() {
    let connect = pack(&rmpv::ext::to_value(json!({"type": 0, "nsp": "/"})).unwrap());
    let mut decoder = Decoder::new();
    assert_eq!(decoder.decode(&say("3")), Ok(Some(Incoming::Pong)));
    assert_eq!(decoder.dialect(), Dialect::SocketIo);
    decoder.decode(&connect).unwrap();
    assert_eq!(decoder.dialect(), Dialect::SocketIoMsgpack);
    assert_eq!(decoder.decode(&say("3")), Ok(Some(Incoming::Pong)));
    assert!(decoder.decode(&say("42[\"x\"]")).is_err());

    let mut decoder = Decoder::new();
    decoder.decode(&say("40")).unwrap();
    assert_eq!(decoder.dialect(), Dialect::SocketIo);
    assert!(decoder.decode(&connect).is_err());
    assert_eq!(decoder.dialect(), Dialect::SocketIo);
}
