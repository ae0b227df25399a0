//! Plain WebSocket: one frame is one object, in JSON or in MessagePack.

use protocol::event::{Event, name};
use protocol::schema::{Catalogue, CommandSchemas, PUSHED_ANSWERS, reference_to};
use serde_json::{Map, Value, json};

use super::channel::{Channel, key};
use crate::document::insert;
use crate::schemas::with_options;

/// `/ws`.
pub(super) fn channel(catalogue: &Catalogue) -> Channel {
    let mut channel = Channel {
        name: "native",
        address: "/ws",
        title: "Plain WebSocket",
        description: "One message is one frame, JSON with the subprotocol `postern.v1.json` and MessagePack with `postern.v1.msgpack`. \
                      The first frame is `auth`, or the header `Authorization` of the upgrade has the token; then `ready` follows. \
                      With `resume` in `auth` the missed events follow `ready` in sequence.",
        bindings: json!({
            "bindingVersion": "0.1.0",
            "method": "GET",
            "headers": {
                "type": "object",
                "required": ["Sec-WebSocket-Protocol"],
                "properties": {
                    "Sec-WebSocket-Protocol": {"type": "string", "enum": ["postern.v1.json", "postern.v1.msgpack"]},
                    "Authorization": {"type": "string", "pattern": "^Bearer .+$"},
                },
            },
        }),
        messages: Map::new(),
        operations: Vec::new(),
    };
    let auth = request(name::AUTH, reference_to("Auth"), false);
    channel.message(
        name::AUTH,
        name::AUTH,
        "Authenticates the socket, and resumes an earlier one.",
        auth,
    );
    let ready = answer(name::READY, reference_to("Ready"));
    channel.message(name::READY, name::READY, "The socket is authenticated and live.", ready);
    channel.receives(name::AUTH, "Authenticates a socket.", &[name::READY, name::ERROR], None);
    for command in &catalogue.commands {
        add_command(&mut channel, catalogue, command);
    }
    for event in catalogue.events.iter().chain(&catalogue.notices) {
        let is_logged = Event::NAMES.contains(&event.name);
        let frame = if is_logged {
            logged(event.name, event.data.clone())
        } else if event.name == name::ERROR {
            // An error answers a request.
            answer(event.name, event.data.clone())
        } else {
            notice(event.name, event.data.clone())
        };
        let summary = catalogue.summary(&event.data);
        channel.message(&key(event.name), event.name, summary, frame);
        channel.sends(&key(event.name), summary);
    }
    let batched = catalogue.events.iter().filter(|event| BATCHED.contains(&event.name));
    let batched: Vec<_> = batched.map(|event| logged(event.name, event.data.clone())).collect();
    let batch = json!({"type": "array", "minItems": 2, "items": {"oneOf": batched}});
    channel.message(
        "batch",
        "batch",
        "Several notifications and syncs in one message.",
        batch,
    );
    channel.sends("batch", "Sends several notifications and syncs in one message.");
    channel
}

/// Events that may come several in one message.
const BATCHED: [&str; 2] = [name::STATUS_CHANGED, name::NOTIFICATION];

fn add_command(channel: &mut Channel, catalogue: &Catalogue, command: &CommandSchemas) {
    let (kind, summary) = (command.kind, command.kind.summary());
    let (event, response) = (kind.event(), kind.response_event());
    let required = catalogue.requires_fields(&command.data);
    channel.message(
        &key(event),
        event,
        summary,
        request(event, with_options(&command.data), required),
    );
    let is_pushed = PUSHED_ANSWERS.contains(&kind);
    let mut frame = answer(response, command.answer());
    if let Some(properties) = frame.get_mut("properties").filter(|_| is_pushed) {
        insert(properties, "offset", json!({"type": "null"}));
    }
    channel.message(&key(response), response, &format!("Answer to `{event}`."), frame);
    // A command whose name or payload cannot be read is answered with `error`.
    channel.receives(&key(event), summary, &[&key(response)], Some(kind));
    if is_pushed {
        channel.sends(
            &key(response),
            &format!("Sends the answer to `{event}` without the command."),
        );
    }
}

fn request(event: &str, data: Value, is_data_required: bool) -> Value {
    let required = if is_data_required {
        vec!["event", "data"]
    } else {
        vec!["event"]
    };
    json!({
        "type": "object",
        "required": required,
        "properties": {
            "event": {"type": "string", "const": event},
            "data": data,
            "id": reference_to("RequestId"),
        },
    })
}

fn answer(event: &str, data: Value) -> Value {
    json!({
        "type": "object",
        "required": ["event", "data"],
        "properties": {
            "event": {"type": "string", "const": event},
            "data": data,
            "id": reference_to("RequestId"),
        },
    })
}

/// Event of the event log. An alert that is sent again to a new socket has no offset.
fn logged(event: &str, data: Value) -> Value {
    let offset = if event == name::ALERT {
        json!({"oneOf": [reference_to("Offset"), {"type": "null"}]})
    } else {
        reference_to("Offset")
    };
    json!({
        "type": "object",
        "required": ["event", "data", "offset", "eventId"],
        "properties": {
            "event": {"type": "string", "const": event},
            "data": data,
            "offset": offset,
            "eventId": reference_to("EventId"),
        },
    })
}

fn notice(event: &str, data: Value) -> Value {
    json!({
        "type": "object",
        "required": ["event", "data", "offset"],
        "properties": {
            "event": {"type": "string", "const": event},
            "data": data,
            "offset": {"type": "null"},
        },
    })
}
