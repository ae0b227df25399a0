//! Tests of the dialects, with messages as servers send them.

use serde_json::json;

use super::*;

fn msgpack(value: &Value) -> Message {
    Message::binary(rmp_serde::to_vec(value).unwrap())
}

fn auth() -> Auth {
    let resume = Resume {
        token: "r1".to_owned(),
        offset: Some("e-7".to_owned()),
    };
    Auth {
        token: "t".to_owned(),
        resume: Some(resume),
        batching: false,
    }
}

#[test]
fn authentication_carries_token_resume_and_batching_in_each_dialect() {
    let socketio = json!({ "token": "t", "pid": "r1", "offset": "e-7", "batching": false });
    let native = json!({ "event": "auth", "data":
        { "token": "t", "resume": { "resumeToken": "r1", "offset": "e-7" }, "batching": false } });
    let sent = |dialect: Dialect| dialect.authenticate(&auth()).unwrap();
    let text = sent(Dialect::Socketio);
    let data: Value = serde_json::from_str(text.to_text().unwrap().strip_prefix("40").unwrap()).unwrap();
    assert_eq!(data, socketio);
    let packet = Encoding::Msgpack.read(&sent(Dialect::SocketioMsgpack)).unwrap();
    assert_eq!(packet, json!({ "type": 0, "data": socketio, "nsp": "/" }));
    assert_eq!(Encoding::Json.read(&sent(Dialect::Native)).unwrap(), native);
    assert_eq!(Encoding::Msgpack.read(&sent(Dialect::NativeMsgpack)).unwrap(), native);
}

#[test]
fn accepted_connection_brings_its_resume_token() {
    let token = |dialect: Dialect, message| dialect.connected(&message).unwrap().unwrap().resume_token;
    let ready = json!({ "event": "ready", "data": { "resumeToken": "r2" }, "offset": null });
    assert_eq!(
        token(Dialect::Socketio, Message::text(r#"40{"sid":"s","pid":"r2"}"#)).as_deref(),
        Some("r2")
    );
    assert_eq!(token(Dialect::Socketio, Message::text(r#"40{"sid":"s"}"#)), None);
    let packet = msgpack(&json!({ "type": 0, "data": { "sid": "s", "pid": "r2" }, "nsp": "/" }));
    assert_eq!(token(Dialect::SocketioMsgpack, packet).as_deref(), Some("r2"));
    assert_eq!(
        token(Dialect::Native, Message::text(ready.to_string())).as_deref(),
        Some("r2")
    );
    assert_eq!(token(Dialect::NativeMsgpack, msgpack(&ready)).as_deref(), Some("r2"));
    assert_eq!(
        token(
            Dialect::Centrifugo,
            Message::text(r#"{"id":1,"connect":{"client":"c"}}"#)
        ),
        None
    );
}

#[test]
fn refused_connection_is_an_error() {
    for (dialect, message) in [
        (Dialect::Socketio, Message::text(r#"44{"message":"unauthenticated"}"#)),
        (
            Dialect::SocketioMsgpack,
            msgpack(&json!({ "type": 4, "data": { "message": "no" }, "nsp": "/" })),
        ),
        (
            Dialect::Native,
            Message::text(r#"{"event":"error","data":{"error":"unauthenticated"}}"#),
        ),
        (Dialect::Centrifugo, Message::text(r#"{"id":1,"error":{"code":101}}"#)),
    ] {
        assert!(dialect.connected(&message).is_err(), "{dialect:?}");
    }
}

#[test]
fn messages_are_classified_as_events_answers_pings_and_ends() {
    let answer = json!({ "event": "account:list_response", "data": {}, "id": 7 });
    for (dialect, message, expected) in [
        (
            Dialect::Socketio,
            Message::text("2"),
            Received::Ping(Message::text("3")),
        ),
        (
            Dialect::Socketio,
            Message::text(r#"42["a",{},"e-1"]"#),
            Received::Events,
        ),
        (
            Dialect::Socketio,
            Message::text(r#"437[{"success":true}]"#),
            Received::Answer(7),
        ),
        (
            Dialect::Socketio,
            Message::text("41"),
            Received::End("disconnected by the server".to_owned()),
        ),
        (
            Dialect::SocketioMsgpack,
            Message::text("2"),
            Received::Ping(Message::text("3")),
        ),
        (
            Dialect::SocketioMsgpack,
            msgpack(&json!({ "type": 3, "data": [{}], "id": 7, "nsp": "/" })),
            Received::Answer(7),
        ),
        (
            Dialect::SocketioMsgpack,
            msgpack(&json!({ "type": 2, "data": ["a", {}], "nsp": "/" })),
            Received::Events,
        ),
        (Dialect::Native, Message::text(answer.to_string()), Received::Answer(7)),
        (Dialect::NativeMsgpack, msgpack(&answer), Received::Answer(7)),
        (
            Dialect::Native,
            Message::text(r#"[{"event":"a"},{"event":"b"}]"#),
            Received::Events,
        ),
        (
            Dialect::Centrifugo,
            Message::text("{}"),
            Received::Ping(Message::text("{}")),
        ),
        (
            Dialect::Centrifugo,
            Message::text(r##"{"push":{"channel":"#u","pub":{"data":{}}}}"##),
            Received::Events,
        ),
        (
            Dialect::Native,
            Message::Close(None),
            Received::End("closed without a code".to_owned()),
        ),
    ] {
        assert_eq!(dialect.classify(&message), expected, "{dialect:?} {message:?}");
    }
}

#[test]
fn events_have_name_data_and_offset_alone_and_in_a_batch() {
    let event = |n: u64| Event {
        name: "a".to_owned(),
        data: json!({ "n": n }),
        offset: Some(format!("e-{n}")),
    };
    let frame = |n: u64| json!({ "event": "a", "data": { "n": n }, "offset": format!("e-{n}") });
    let packet = msgpack(&json!({ "type": 2, "data": ["a", { "n": 1 }, "e-1"], "nsp": "/" }));
    assert_eq!(
        Dialect::Socketio.events(&Message::text(r#"42["a",{"n":1},"e-1"]"#)),
        [event(1)]
    );
    assert_eq!(Dialect::SocketioMsgpack.events(&packet), [event(1)]);
    assert_eq!(
        Dialect::Native.events(&Message::text(json!([frame(1), frame(2)]).to_string())),
        [event(1), event(2)]
    );
    assert_eq!(Dialect::NativeMsgpack.events(&msgpack(&frame(1))), [event(1)]);
}
