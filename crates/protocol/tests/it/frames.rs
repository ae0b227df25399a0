//! Frames on the socket, byte for byte.

use std::time::Duration;

use insta::assert_snapshot;
use protocol::code::{ErrorCode, TokenFault};
use protocol::event::name;
use protocol::json::Json;
use protocol::wire::native::{self, Encoding};
use protocol::wire::socketio::{self, Decoder, Incoming, Open, RefusalData};
use protocol::wire::{Dialect, Message, Push, RequestId};
use serde_json::json;

use crate::peer::{say, send};

fn show(message: &Message) -> String {
    match message {
        Message::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
        Message::Binary(bytes) => bytes.escape_ascii().to_string(),
    }
}

fn data() -> Json {
    Json::of(&json!({"n": 1}))
}

fn alert<'a>(data: &'a Json, offset: Option<&'a str>) -> Push<'a> {
    Push {
        event: name::ALERT,
        data,
        offset,
        event_id: None,
    }
}

const PACKED: Dialect = Dialect::SocketIoMsgpack;
const PLAIN: Dialect = Dialect::SocketIo;

#[test]
fn engineio_open_and_ping_are_written() {
    let open = socketio::open(&Open {
        sid: "VSMPJJqO56l6PrzxAAAA",
        ping_interval: Duration::from_secs(30),
        ping_timeout: Duration::from_secs(20),
        max_payload: 65_536,
    });
    assert_snapshot!(show(&open), @r#"0{"sid":"VSMPJJqO56l6PrzxAAAA","upgrades":[],"pingInterval":30000,"pingTimeout":20000,"maxPayload":65536}"#);
    assert_snapshot!(show(&socketio::ping()), @"2");
}

#[test]
fn connect_answer_is_written() {
    let sid = "HtsaW3QsZBHxDYimAAAA";
    assert_snapshot!(show(&socketio::connected(PLAIN, sid, None)), @r#"40{"sid":"HtsaW3QsZBHxDYimAAAA"}"#);
    assert_snapshot!(show(&socketio::connected(PLAIN, sid, Some("gXcO"))), @r#"40{"sid":"HtsaW3QsZBHxDYimAAAA","pid":"gXcO"}"#);
    assert_snapshot!(show(&socketio::connected(PACKED, "s", Some("p"))), @r"\x83\xa4type\x00\xa4data\x82\xa3sid\xa1s\xa3pid\xa1p\xa3nsp\xa1/");
}

#[test]
fn connect_error_is_written() {
    let refuse = |dialect| {
        let data = RefusalData {
            code: ErrorCode::Unauthenticated,
            reason: Some(TokenFault::Expired),
        };
        let data = Some(data);
        show(&socketio::connect_error(
            dialect,
            "/",
            "A valid token is required.",
            data,
        ))
    };
    assert_snapshot!(refuse(PLAIN), @r#"44{"message":"A valid token is required.","data":{"code":"unauthenticated","reason":"expired"}}"#);
    assert_snapshot!(refuse(PACKED), @r"\x83\xa4type\x04\xa4data\x82\xa7message\xbaA valid token is required.\xa4data\x82\xa4code\xafunauthenticated\xa6reason\xa7expired\xa3nsp\xa1/");
    let ended = RefusalData {
        code: ErrorCode::Forbidden,
        reason: None,
    };
    assert_snapshot!(show(&socketio::connect_error(PLAIN, "/", "This is not allowed.", Some(ended))), @r#"44{"message":"This is not allowed.","data":{"code":"forbidden"}}"#);
    let elsewhere = |dialect| show(&socketio::connect_error(dialect, "/nope", "Invalid namespace", None));
    assert_snapshot!(elsewhere(PLAIN), @r#"44/nope,{"message":"Invalid namespace"}"#);
    assert_snapshot!(elsewhere(PACKED), @r"\x83\xa4type\x04\xa4data\x81\xa7message\xb1Invalid namespace\xa3nsp\xa5/nope");
}

#[test]
fn event_ends_in_its_offset_or_in_null() {
    assert_snapshot!(show(&socketio::event(PLAIN, &alert(&data(), Some("0badcafe-7")))), @r#"42["security:alert",{"n":1},"0badcafe-7"]"#);
    assert_snapshot!(show(&socketio::event(PLAIN, &alert(&data(), None))), @r#"42["security:alert",{"n":1},null]"#);
    assert_snapshot!(show(&socketio::event(PACKED, &alert(&data(), Some("0-7")))), @r"\x83\xa4type\x02\xa4data\x93\xaesecurity:alert\x81\xa1n\x01\xa30-7\xa3nsp\xa1/");
    assert_snapshot!(show(&socketio::event(PACKED, &alert(&data(), None))), @r"\x83\xa4type\x02\xa4data\x93\xaesecurity:alert\x81\xa1n\x01\xc0\xa3nsp\xa1/");
}

#[test]
fn event_id_is_beside_a_native_payload_and_the_first_field_of_a_socketio_one() {
    let (data, empty, text) = (data(), Json::of(&json!({})), Json::of("text"));
    let identified = |data, event_id| Push {
        event_id: Some(event_id),
        ..alert(data, Some("0-7"))
    };
    assert_snapshot!(show(&native::push(Encoding::Json, &identified(&data, "a\"1"))), @r#"{"event":"security:alert","data":{"n":1},"offset":"0-7","eventId":"a\"1"}"#);
    assert_snapshot!(show(&native::push(Encoding::Msgpack, &identified(&data, "a"))), @r"\x84\xa5event\xaesecurity:alert\xa4data\x81\xa1n\x01\xa6offset\xa30-7\xa7eventId\xa1a");
    assert_snapshot!(show(&socketio::event(PLAIN, &identified(&data, "a\"1"))), @r#"42["security:alert",{"eventId":"a\"1","n":1},"0-7"]"#);
    assert_snapshot!(show(&socketio::event(PLAIN, &identified(&empty, "a"))), @r#"42["security:alert",{"eventId":"a"},"0-7"]"#);
    assert_snapshot!(show(&socketio::event(PLAIN, &identified(&text, "a"))), @r#"42["security:alert","text","0-7"]"#);
    assert_snapshot!(show(&socketio::event(PACKED, &identified(&data, "a"))), @r"\x83\xa4type\x02\xa4data\x93\xaesecurity:alert\x82\xa7eventId\xa1a\xa1n\x01\xa30-7\xa3nsp\xa1/");
    assert_snapshot!(show(&socketio::event(PACKED, &identified(&text, "a"))), @r"\x83\xa4type\x02\xa4data\x93\xaesecurity:alert\xa4text\xa30-7\xa3nsp\xa1/");
    assert_snapshot!(show(&socketio::event_without_offset(PLAIN, &identified(&data, "a"))), @r#"42["security:alert",{"eventId":"a","n":1}]"#);
}

#[test]
fn event_without_recovery_has_its_payload_only() {
    assert_snapshot!(show(&socketio::event_without_offset(PLAIN, &alert(&data(), Some("0-7")))), @r#"42["security:alert",{"n":1}]"#);
    assert_snapshot!(show(&socketio::event_without_offset(PACKED, &alert(&data(), Some("0-7")))), @r"\x83\xa4type\x02\xa4data\x92\xaesecurity:alert\x81\xa1n\x01\xa3nsp\xa1/");
}

#[test]
fn ack_is_an_array_of_one() {
    let ok = Json::of(&json!({"ok": true}));
    assert_snapshot!(show(&socketio::ack(PLAIN, 0, &ok)), @r#"430[{"ok":true}]"#);
    assert_snapshot!(show(&socketio::ack(PACKED, 0, &ok)), @r"\x84\xa4type\x03\xa4data\x91\x81\xa2ok\xc3\xa2id\x00\xa3nsp\xa1/");
}

#[test]
fn disconnect_is_written() {
    assert_snapshot!(show(&socketio::disconnect(PLAIN)), @"41");
    assert_snapshot!(show(&socketio::disconnect(PACKED)), @r"\x82\xa4type\x01\xa3nsp\xa1/");
}

#[test]
fn native_frames_are_objects() {
    let push = |encoding, offset| show(&native::push(encoding, &alert(&data(), offset)));
    assert_snapshot!(push(Encoding::Json, Some("0-7")), @r#"{"event":"security:alert","data":{"n":1},"offset":"0-7"}"#);
    assert_snapshot!(push(Encoding::Json, None), @r#"{"event":"security:alert","data":{"n":1},"offset":null}"#);
    assert_snapshot!(push(Encoding::Msgpack, Some("0-7")), @r"\x83\xa5event\xaesecurity:alert\xa4data\x81\xa1n\x01\xa6offset\xa30-7");
    let batch = |encoding| {
        let frames = ["0-7", "0-8"].map(|offset| native::push(encoding, &alert(&data(), Some(offset))));
        show(&native::batch(encoding, &frames))
    };
    assert_snapshot!(batch(Encoding::Json), @r#"[{"event":"security:alert","data":{"n":1},"offset":"0-7"},{"event":"security:alert","data":{"n":1},"offset":"0-8"}]"#);
    assert_snapshot!(batch(Encoding::Msgpack), @r"\x92\x83\xa5event\xaesecurity:alert\xa4data\x81\xa1n\x01\xa6offset\xa30-7\x83\xa5event\xaesecurity:alert\xa4data\x81\xa1n\x01\xa6offset\xa30-8");
}

#[test]
fn native_answer_carries_the_id_unchanged() {
    let ok = Json::of(&json!({"success": true}));
    let answer = |encoding, id: Option<RequestId>| show(&native::answer(encoding, "auth:refreshed", &ok, id.as_ref()));
    let native = |id| Some(RequestId::Native(id));
    assert_snapshot!(answer(Encoding::Json, native(json!("a1"))), @r#"{"event":"auth:refreshed","data":{"success":true},"id":"a1"}"#);
    assert_snapshot!(answer(Encoding::Json, native(json!(7))), @r#"{"event":"auth:refreshed","data":{"success":true},"id":7}"#);
    assert_snapshot!(answer(Encoding::Json, None), @r#"{"event":"auth:refreshed","data":{"success":true}}"#);
    assert_snapshot!(answer(Encoding::Msgpack, native(json!(7))), @r"\x83\xa5event\xaeauth:refreshed\xa4data\x81\xa7success\xc3\xa2id\x07");
}

/// Meaning of a client's messages, a line each, payloads included.
fn meaning(messages: &[Message]) -> String {
    let mut decoder = Decoder::new();
    let lines: Vec<_> = messages
        .iter()
        .map(|message| match decoder.decode(message).unwrap() {
            None => "...".to_owned(),
            Some(Incoming::Connect { namespace, auth }) => format!("connect {namespace} {auth}"),
            Some(Incoming::Request(request)) => format!("{} {} {:?}", request.event, request.data, request.id),
            Some(other) => format!("{other:?}"),
        })
        .collect();
    lines.join("\n")
}

#[test]
fn packets_of_official_clients_are_decoded() {
    let decoded = meaning(&[
        say(r#"40{"token":"good"}"#),
        say("40"),
        say("40{}"),
        say("40/,{}"),
        say(r#"40{"pid":"gXcO","offset":"Q87a4tq","token":"good"}"#),
        say(r#"40/admin,{"token":"x"}"#),
        say("40/nope,"),
        say("40/nope"),
        say("3"),
        say(r#"420["echo",{"ok":true}]"#),
        say(r#"42/,1["x"]"#),
        say(r#"42["x",{"a":1},"more",["and more"]]"#),
        say(r#"451-2["echo",{"_placeholder":true,"num":0}]"#),
        send(&[5, 6]),
        say(r#"430["answer",{"ok":true}]"#),
        say("41/admin,"),
        say("41"),
    ]);
    assert_snapshot!(decoded, @r#"
    connect / {"token":"good"}
    connect / null
    connect / {}
    connect / {}
    connect / {"offset":"Q87a4tq","pid":"gXcO","token":"good"}
    connect /admin {"token":"x"}
    connect /nope null
    connect /nope null
    Pong
    echo {"ok":true} Some(Ack(0))
    x null Some(Ack(1))
    x {"a":1} None
    ...
    echo null Some(Ack(2))
    Ignored
    Disconnect { namespace: "/admin" }
    Disconnect { namespace: "/" }
    "#);
}

#[test]
fn packets_of_the_msgpack_parser_are_decoded() {
    let decoded = meaning(&[
        // As notepack.io 2.2 writes { type: 0, data: undefined, nsp: "/" }.
        send(b"\x83\xa4type\x00\xa4data\xd4\x00\x00\xa3nsp\xa1/"),
        send(b"\x83\xa4type\x00\xa4data\x81\xa5token\xa4good\xa3nsp\xa6/admin"),
        send(b"\x85\xa4type\x02\xa4data\x92\xa4echo\x81\xa2ok\xc3\xa7options\x81\xa8compress\xc3\xa2id\x00\xa3nsp\xa1/"),
        // Bytes, undefined and a Date as arguments' fields.
        send(b"\x83\xa4type\x02\xa4data\x92\xa1x\x83\xa1b\xc4\x02\x05\x06\xa1u\xd4\x00\x00\xa1d\xd7\x00\x00\x00\x01\xa2\x0a\x50\xa4\x27\xa3nsp\xa1/"),
        send(b"\x84\xa4type\x03\xa4data\x90\xa2id\x05\xa3nsp\xa1/"),
        send(b"\x82\xa4type\x01\xa3nsp\xa1/"),
    ]);
    assert_snapshot!(decoded, @r#"
    connect / null
    connect /admin {"token":"good"}
    echo {"ok":true} Some(Ack(0))
    x {"b":null,"d":"2026-11-23T21:29:46.791Z","u":null} None
    Ignored
    Disconnect { namespace: "/" }
    "#);
}
