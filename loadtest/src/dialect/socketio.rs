//! Socket.IO protocol 5 over Engine.IO protocol 4, WebSocket only, namespace `/`.

use anyhow::bail;
use serde_json::{Map, Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{Auth, Connected, Encoding, Event, Received};

const CONNECT: u64 = 0;
const DISCONNECT: u64 = 1;
const EVENT: u64 = 2;
const ACK: u64 = 3;
const CONNECT_ERROR: u64 = 4;

pub(super) fn authenticate(encoding: Encoding, auth: &Auth) -> anyhow::Result<Message> {
    let mut data = Map::from_iter([("token".to_owned(), json!(auth.token))]);
    if let Some(resume) = &auth.resume {
        data.insert("pid".to_owned(), json!(resume.token));
        data.insert("offset".to_owned(), json!(resume.offset));
    }
    if !auth.batching {
        data.insert("batching".to_owned(), json!(false));
    }
    match encoding {
        Encoding::Json => Ok(Message::text(format!("40{}", Value::Object(data)))),
        Encoding::Msgpack => encoding.write(&json!({ "type": CONNECT, "data": data, "nsp": "/" })),
    }
}

pub(super) fn connected(encoding: Encoding, message: &Message) -> anyhow::Result<Option<Connected>> {
    match packet(encoding, message) {
        Some(packet) if packet.kind == CONNECT => Ok(Some(Connected {
            resume_token: packet.data.get("pid").and_then(Value::as_str).map(str::to_owned),
        })),
        Some(packet) if packet.kind == CONNECT_ERROR => bail!("refused: {}", packet.data),
        _ => Ok(None),
    }
}

pub(super) fn request(encoding: Encoding, event: &str, data: &Value, id: u64) -> anyhow::Result<Message> {
    let data = json!([event, data]);
    match encoding {
        Encoding::Json => Ok(Message::text(format!("42{id}{data}"))),
        Encoding::Msgpack => encoding.write(&json!({ "type": EVENT, "data": data, "id": id, "nsp": "/" })),
    }
}

pub(super) fn classify(encoding: Encoding, message: &Message) -> Received {
    if let Message::Text(text) = message {
        match text.as_bytes() {
            b"2" => return Received::Ping(Message::text("3")),
            // Most messages: nothing of them is parsed here.
            [b'4', b'2', ..] => return Received::Events,
            _ => {}
        }
    }
    let Some(packet) = packet(encoding, message) else {
        return Received::Other;
    };
    match (packet.kind, packet.id) {
        (EVENT, _) => Received::Events,
        (ACK, Some(id)) => Received::Answer(id),
        (DISCONNECT, _) => Received::End("disconnected by the server".to_owned()),
        (CONNECT_ERROR, _) => Received::End(packet.data.to_string()),
        _ => Received::Other,
    }
}

pub(super) fn event(encoding: Encoding, message: &Message) -> Option<Event> {
    let packet = packet(encoding, message)?;
    let Value::Array(arguments) = packet.data else {
        return None;
    };
    let mut arguments = arguments.into_iter();
    let name = arguments.next()?.as_str()?.to_owned();
    let data = arguments.next().unwrap_or_default();
    let offset = arguments.next().and_then(|offset| offset.as_str().map(str::to_owned));
    Some(Event { name, data, offset })
}

struct Packet {
    kind: u64,
    id: Option<u64>,
    data: Value,
}

fn packet(encoding: Encoding, message: &Message) -> Option<Packet> {
    if encoding == Encoding::Msgpack {
        let mut packet = encoding.read(message)?;
        let number = |packet: &Value, key: &str| packet.get(key).and_then(Value::as_u64);
        return Some(Packet {
            kind: number(&packet, "type")?,
            id: number(&packet, "id"),
            data: packet.get_mut("data").map(Value::take).unwrap_or_default(),
        });
    }
    let Message::Text(text) = message else { return None };
    let packet = text.as_str().strip_prefix('4')?;
    let kind = packet.chars().next()?.to_digit(10)?;
    let rest = packet.get(1..)?;
    let data = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let id = rest.get(..rest.len() - data.len())?;
    Some(Packet {
        kind: kind.into(),
        id: id.parse().ok(),
        data: serde_json::from_str(data).unwrap_or_default(),
    })
}
