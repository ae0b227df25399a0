//! Postern's plain WebSocket.

use anyhow::bail;
use serde_json::{Map, Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{Auth, Connected, Encoding, Event, Received};

pub(super) fn authenticate(encoding: Encoding, auth: &Auth) -> anyhow::Result<Message> {
    let mut data = Map::from_iter([("token".to_owned(), json!(auth.token))]);
    if let Some(resume) = &auth.resume {
        let resume = json!({ "resumeToken": resume.token, "offset": resume.offset });
        data.insert("resume".to_owned(), resume);
    }
    if !auth.batching {
        data.insert("batching".to_owned(), json!(false));
    }
    encoding.write(&json!({ "event": "auth", "data": data }))
}

pub(super) fn connected(encoding: Encoding, message: &Message) -> anyhow::Result<Option<Connected>> {
    let Some(frame) = encoding.read(message) else {
        return Ok(None);
    };
    let text = |path| frame.pointer(path).and_then(Value::as_str).map(str::to_owned);
    match text("/event").as_deref() {
        Some("ready") => Ok(Some(Connected {
            resume_token: text("/data/resumeToken"),
        })),
        Some("error") => bail!("refused: {frame}"),
        _ => Ok(None),
    }
}

pub(super) fn request(encoding: Encoding, event: &str, data: &Value, id: u64) -> anyhow::Result<Message> {
    encoding.write(&json!({ "event": event, "data": data, "id": id }))
}

pub(super) fn classify(encoding: Encoding, message: &Message) -> Received {
    match encoding.read(message) {
        Some(Value::Array(_)) => Received::Events,
        Some(frame) => match frame.get("id").and_then(Value::as_u64) {
            Some(id) => Received::Answer(id),
            None => Received::Events,
        },
        None => Received::Other,
    }
}

pub(super) fn events(encoding: Encoding, message: &Message) -> Vec<Event> {
    let frames = match encoding.read(message) {
        Some(Value::Array(frames)) => frames,
        Some(frame) => vec![frame],
        None => Vec::new(),
    };
    frames.into_iter().filter_map(event).collect()
}

fn event(mut frame: Value) -> Option<Event> {
    Some(Event {
        name: frame.get("event")?.as_str()?.to_owned(),
        offset: frame.get("offset").and_then(Value::as_str).map(str::to_owned),
        data: frame.get_mut("data").map(Value::take).unwrap_or_default(),
    })
}
