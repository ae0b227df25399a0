//! AsyncAPI 3: the sockets of a gateway, in both dialects. The gateway is the application that the document describes: it receives
//! commands and sends events and answers.

mod channel;
mod native;
mod policy;
mod socketio;

use protocol::schema::Catalogue;
use serde_json::{Map, Value, json};

use self::channel::Channel;
use crate::document::{Document, insert};

/// `asyncapi.json`.
pub(crate) fn document(catalogue: &Catalogue) -> Document {
    let channels = [native::channel(catalogue), socketio::channel(catalogue)];
    let mut operations = Map::new();
    for channel in &channels {
        operations.extend(channel.operations());
    }
    let values = channels
        .iter()
        .map(|channel| (channel.name.to_owned(), channel.value()));
    let values: Map<String, Value> = values.collect();
    let mut document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Postern: sockets",
            "version": crate::VERSION,
            "description": "Events, commands and answers between clients and a gateway. Both channels have the same events. \
                            docs/protocol.md has the rules.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "gateway": {
                "host": "gateway.example.com",
                "protocol": "wss",
                "description": "Any gateway of a cluster, TLS 1.3 only.",
                "security": [{"$ref": "#/components/securitySchemes/token"}],
            },
        },
        "channels": values,
        "operations": operations,
        "components": {
            "schemas": catalogue.definitions,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Access token of a user. Socket.IO sends it as `auth: {token}`; a plain WebSocket in the header \
                                    `Authorization`, or in the first message, `auth`.",
                },
            },
        },
    });
    adapt(&mut document);
    Document::json("asyncapi.json", &document)
}

/// Points references to the components, and keeps what stands beside a reference, which the tools for AsyncAPI drop.
fn adapt(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(adapt);
            let reference = fields.get("$ref").and_then(Value::as_str);
            let Some(name) = reference.and_then(|reference| reference.strip_prefix("#/$defs/")) else {
                return;
            };
            let reference = json!({"$ref": format!("#/components/schemas/{name}")});
            fields.remove("$ref");
            if fields.is_empty() {
                *value = reference;
            } else {
                fields.insert("allOf".to_owned(), json!([reference]));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(adapt),
        _ => {}
    }
}

impl Channel {
    /// Operations of the channel: one for each command with its answers, and one for each event.
    fn operations(&self) -> Map<String, Value> {
        let channel = json!({"$ref": format!("#/channels/{}", self.name)});
        let message = |key: &String| json!({"$ref": format!("#/channels/{}/messages/{key}", self.name)});
        let operation = |operation: &channel::Operation| {
            let mut value = json!({
                "action": operation.action,
                "channel": channel,
                "summary": operation.summary,
                "messages": [message(&operation.message)],
            });
            if !operation.replies.is_empty() {
                let replies: Vec<_> = operation.replies.iter().map(message).collect();
                insert(&mut value, "reply", json!({"channel": channel, "messages": replies}));
            }
            if let Some(kind) = operation.command {
                insert(&mut value, "x-postern-policy", policy::of(kind));
            }
            (
                format!("{}.{}.{}", self.name, operation.action, operation.message),
                value,
            )
        };
        self.operations.iter().map(operation).collect()
    }
}
