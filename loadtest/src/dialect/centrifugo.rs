//! JSON protocol of Centrifugo: replies and pushes, one a line. The server subscribes each user to its personal channel.

use anyhow::bail;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{Auth, Connected, Received};

/// Id of the command that connects.
const CONNECT: u64 = 1;

pub(super) fn authenticate(auth: &Auth) -> Message {
    Message::text(json!({ "id": CONNECT, "connect": { "token": auth.token } }).to_string())
}

pub(super) fn connected(message: &Message) -> anyhow::Result<Option<Connected>> {
    for reply in replies(message) {
        if reply.get("error").is_some() {
            bail!("refused: {reply}");
        }
        if reply.get("connect").is_some() {
            return Ok(Some(Connected::default()));
        }
    }
    Ok(None)
}

pub(super) fn request(event: &str, data: &Value, id: u64) -> Message {
    Message::text(json!({ "id": id, "rpc": { "method": event, "data": data } }).to_string())
}

pub(super) fn classify(message: &Message) -> Received {
    let Message::Text(text) = message else {
        return Received::Other;
    };
    if text.as_str() == "{}" {
        return Received::Ping(Message::text("{}"));
    }
    if text.as_str().starts_with(r#"{"push""#) {
        return Received::Events;
    }
    let id = replies(message).find_map(|reply| reply.get("id").and_then(Value::as_u64));
    id.map_or(Received::Events, Received::Answer)
}

fn replies(message: &Message) -> impl Iterator<Item = Value> {
    let text = message.to_text().unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok())
}
