//! Client side of the socket, for every dialect.

use bytes::Bytes;
use protocol::wire::native::{self, Encoding};
use protocol::wire::socketio::{self, Decoder, Incoming};
use protocol::wire::{Dialect, Message, Push, Request, RequestId};
use serde_json::{Value, json};

pub(crate) const DIALECTS: [Dialect; 4] = [
    Dialect::NativeJson,
    Dialect::NativeMsgpack,
    Dialect::SocketIo,
    Dialect::SocketIoMsgpack,
];

/// Event that a client received: its name and its arguments. On a native socket these are `data` and `offset`.
#[derive(Debug, PartialEq)]
pub(crate) struct ReceivedEvent {
    pub(crate) event: String,
    pub(crate) arguments: Vec<Value>,
}

/// Event of the server in this dialect.
pub(crate) fn push(dialect: Dialect, push: &Push<'_>) -> Message {
    match encoding(dialect) {
        Some(encoding) => native::push(encoding, push),
        None => socketio::event(dialect, push),
    }
}

/// Reads an event of the server as a client does.
pub(crate) fn receive(dialect: Dialect, message: &Message) -> ReceivedEvent {
    if encoding(dialect).is_some() {
        let Value::Object(mut frame) = value(dialect, message) else {
            panic!("a frame is an object");
        };
        let received = ReceivedEvent {
            event: frame.remove("event").unwrap().as_str().unwrap().to_owned(),
            arguments: vec![frame.remove("data").unwrap(), frame.remove("offset").unwrap()],
        };
        assert!(frame.is_empty(), "unknown fields: {frame:?}");
        return received;
    }
    let packet = packet(dialect, message);
    assert_eq!((packet.kind, packet.id), (2, None));
    let mut arguments = packet.data.unwrap();
    let event = arguments.as_array_mut().unwrap().remove(0);
    ReceivedEvent {
        event: event.as_str().unwrap().to_owned(),
        arguments: serde_json::from_value(arguments).unwrap(),
    }
}

/// Socket.IO packet of the server.
#[derive(Debug, PartialEq)]
pub(crate) struct Packet {
    pub(crate) kind: u64,
    pub(crate) id: Option<u64>,
    pub(crate) data: Option<Value>,
}

/// Reads a packet of the root namespace as a Socket.IO client does.
pub(crate) fn packet(dialect: Dialect, message: &Message) -> Packet {
    if dialect == Dialect::SocketIoMsgpack {
        let Value::Object(mut packet) = value(dialect, message) else {
            panic!("a packet is a map");
        };
        assert_eq!(packet.remove("nsp"), Some(json!("/")));
        let read = Packet {
            kind: packet.remove("type").unwrap().as_u64().unwrap(),
            id: packet.remove("id").map(|id| id.as_u64().unwrap()),
            data: packet.remove("data"),
        };
        assert!(packet.is_empty(), "unknown entries: {packet:?}");
        return read;
    }
    let text = text(message).strip_prefix('4').unwrap();
    let (kind, rest) = text.split_at(1);
    let json = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let id = rest.strip_suffix(json).unwrap();
    Packet {
        kind: kind.parse().unwrap(),
        id: (!id.is_empty()).then(|| id.parse().unwrap()),
        data: (!json.is_empty()).then(|| serde_json::from_str(json).unwrap()),
    }
}

/// Native frame of the server, or a batch.
pub(crate) fn value(dialect: Dialect, message: &Message) -> Value {
    match dialect {
        Dialect::NativeJson | Dialect::SocketIo => serde_json::from_str(text(message)).unwrap(),
        Dialect::NativeMsgpack | Dialect::SocketIoMsgpack => {
            let mut bytes = binary(message);
            let value = rmpv::decode::read_value(&mut bytes).unwrap();
            assert!(bytes.is_empty(), "bytes after the value");
            rmpv::ext::from_value(value).unwrap()
        }
    }
}

/// Request of a client.
pub(crate) fn request(dialect: Dialect, event: &str, data: &Value, id: Option<&RequestId>) -> Message {
    let id = id.map(|id| match id {
        RequestId::Native(id) => id.clone(),
        RequestId::Ack(id) => json!(id),
    });
    match dialect {
        Dialect::NativeJson | Dialect::NativeMsgpack => {
            let mut frame = json!({"event": event, "data": data});
            if let (Some(id), Value::Object(frame)) = (id, &mut frame) {
                frame.insert("id".to_owned(), id);
            }
            written(dialect, &frame)
        }
        Dialect::SocketIo => {
            let id = id.map(|id| id.to_string()).unwrap_or_default();
            say(&format!("42{id}{}", json!([event, data])))
        }
        Dialect::SocketIoMsgpack => {
            let mut packet = json!({"type": 2, "data": [event, data], "options": {"compress": true}, "nsp": "/"});
            if let (Some(id), Value::Object(packet)) = (id, &mut packet) {
                packet.insert("id".to_owned(), id);
            }
            written(dialect, &packet)
        }
    }
}

/// Decodes a request in this dialect.
pub(crate) fn decode(dialect: Dialect, message: &Message) -> Request {
    if let Some(encoding) = encoding(dialect) {
        return native::decode(encoding, message).unwrap();
    }
    let mut decoder = Decoder::new();
    let Some(Incoming::Request(request)) = decoder.decode(message).unwrap() else {
        panic!("not a request");
    };
    assert_eq!(decoder.dialect(), dialect);
    request
}

/// Value in the encoding of this dialect.
pub(crate) fn written(dialect: Dialect, value: &Value) -> Message {
    match dialect {
        Dialect::NativeJson | Dialect::SocketIo => say(&value.to_string()),
        Dialect::NativeMsgpack | Dialect::SocketIoMsgpack => pack(&rmpv::ext::to_value(value).unwrap()),
    }
}

pub(crate) fn pack(value: &rmpv::Value) -> Message {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).unwrap();
    Message::Binary(out.into())
}

pub(crate) fn say(text: &str) -> Message {
    Message::Text(Bytes::copy_from_slice(text.as_bytes()))
}

pub(crate) fn send(bytes: &[u8]) -> Message {
    Message::Binary(Bytes::copy_from_slice(bytes))
}

pub(crate) fn text(message: &Message) -> &str {
    match message {
        Message::Text(text) => std::str::from_utf8(text).unwrap(),
        Message::Binary(_) => panic!("a text message was expected"),
    }
}

pub(crate) fn binary(message: &Message) -> &[u8] {
    match message {
        Message::Binary(bytes) => bytes,
        Message::Text(_) => panic!("a binary message was expected"),
    }
}

pub(crate) fn encoding(dialect: Dialect) -> Option<Encoding> {
    match dialect {
        Dialect::NativeJson => Some(Encoding::Json),
        Dialect::NativeMsgpack => Some(Encoding::Msgpack),
        Dialect::SocketIo | Dialect::SocketIoMsgpack => None,
    }
}
