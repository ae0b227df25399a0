//! Socket.IO: a message is the list of arguments of one packet.

use protocol::event::{Event, name};
use protocol::schema::{Catalogue, PUSHED_ANSWERS, reference_to};
use serde_json::{Map, Value, json};

use super::channel::{Channel, key};
use crate::schemas::with_options;

/// `/socket.io/`.
pub(super) fn channel(catalogue: &Catalogue) -> Channel {
    let mut channel = Channel {
        name: "socketio",
        address: "/socket.io/",
        title: "Socket.IO",
        description: "Socket.IO v5 over Engine.IO v4, WebSocket alone, with the default parser or socket.io-msgpack-parser, in the \
                      namespace `/`. The payload of a message is the array of arguments of its EVENT packet (its ACK packet for `ack`), \
                      the object of a CONNECT or CONNECT_ERROR packet for those. Connection state recovery by `pid` and `offset`.",
        bindings: json!({
            "bindingVersion": "0.1.0",
            "method": "GET",
            "query": {
                "type": "object",
                "required": ["EIO", "transport"],
                "properties": {
                    "EIO": {"type": "string", "const": "4"},
                    "transport": {"type": "string", "const": "websocket"},
                },
            },
        }),
        messages: Map::new(),
        operations: Vec::new(),
    };
    add_connect(&mut channel);
    for command in &catalogue.commands {
        let (kind, summary) = (command.kind, command.kind.summary());
        let (event, response) = (kind.event(), kind.response_event());
        let least = if catalogue.requires_fields(&command.data) { 2 } else { 1 };
        let payload = arguments(least, vec![constant(event), with_options(&command.data)]);
        channel.message(&key(event), event, summary, payload);
        let answer = arguments(2, vec![constant(response), command.answer(), json!({"type": "null"})]);
        let ack = format!("{}.ack", key(event));
        channel.message(&key(response), response, &format!("Answer to `{event}`."), answer);
        let acked = arguments(1, vec![command.answer()]);
        channel.message(
            &ack,
            "ack",
            &format!("Acknowledgement of `{event}`: the answer again."),
            acked,
        );
        channel.receives(&key(event), summary, &[&key(response), &ack], Some(kind));
        if PUSHED_ANSWERS.contains(&kind) {
            channel.sends(
                &key(response),
                &format!("Sends the answer to `{event}` without the command."),
            );
        }
    }
    let events = catalogue.events.iter().chain(&catalogue.notices);
    for event in events.filter(|event| event.name != name::RESYNC) {
        let (data, offset) = if Event::NAMES.contains(&event.name) {
            (
                with_event_id(&event.data),
                json!({"oneOf": [reference_to("Offset"), {"type": "null"}]}),
            )
        } else {
            (event.data.clone(), json!({"type": "null"}))
        };
        let summary = catalogue.summary(&event.data);
        channel.message(
            &key(event.name),
            event.name,
            summary,
            arguments(2, vec![constant(event.name), data, offset]),
        );
        channel.sends(&key(event.name), summary);
    }
    channel
}

fn add_connect(channel: &mut Channel) {
    let auth = json!({
        "type": "object",
        "description": "Credentials and options. A field of a wrong type is ignored; `false` may be the text `false`.",
        "required": ["token"],
        "properties": {
            "token": {"type": "string", "description": "Access token."},
            "deviceId": {"type": "string", "description": "The device's own lasting name for itself."},
            "deviceName": {"type": "string", "description": "Name that the user gives the device."},
            "batching": {"description": "False turns batching off."},
            "recovery": {"description": "False leaves out the offset of events, and `pid`."},
            "pid": {"type": "string", "description": "Resume token of the old socket; the official client sends it."},
            "offset": {"type": "string", "description": "Offset of the last event that the client has handled."},
        },
    });
    let connected = json!({
        "type": "object",
        "required": ["sid"],
        "properties": {
            "sid": {"type": "string", "description": "Id of the socket; that of the old one after a recovery."},
            "pid": {"type": "string", "description": "Resume token of the socket."},
        },
    });
    let refused = json!({
        "type": "object",
        "required": ["message"],
        "properties": {
            "message": {"type": "string", "description": "Sentence for a person."},
            "data": reference_to("RefusalData"),
        },
    });
    channel.message("CONNECT", "CONNECT", "Joins the namespace `/` with a token.", auth);
    channel.message(
        "CONNECTED",
        "CONNECT",
        "The socket is authenticated and live.",
        connected,
    );
    channel.message("CONNECT_ERROR", "CONNECT_ERROR", "The token is refused.", refused);
    let replies = ["CONNECTED", "CONNECT_ERROR"];
    channel.receives(
        "CONNECT",
        "Authenticates a socket, and recovers an earlier one.",
        &replies,
        None,
    );
}

fn constant(name: &str) -> Value {
    json!({"type": "string", "const": name})
}

/// List of arguments, of which the first `least` are always there.
fn arguments(least: usize, items: Vec<Value>) -> Value {
    json!({
        "type": "array",
        "minItems": least,
        "maxItems": items.len(),
        "items": items,
    })
}

/// Payload of an event of the event log: its id is a field of it.
fn with_event_id(data: &Value) -> Value {
    let id = json!({
        "type": "object",
        "required": ["eventId"],
        "properties": {"eventId": reference_to("EventId")},
    });
    json!({"allOf": [data, id]})
}
