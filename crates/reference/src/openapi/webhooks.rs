//! Webhooks to the application: requests that Postern sends.

use protocol::app_webhook::{AppWebhookType, TEST};
use protocol::event::name;
use protocol::schema::{Catalogue, reference_to};
use serde_json::{Map, Value, json};

use crate::schemas::collect;

/// Webhooks by their type, with the definitions of their payloads added to `schemas`.
pub(super) fn webhooks(catalogue: &Catalogue, schemas: &mut Map<String, Value>) -> Map<String, Value> {
    let mut webhooks = Map::new();
    for kind in AppWebhookType::ALL {
        let events = catalogue.events.iter().chain(&catalogue.notices);
        let event = events.into_iter().find(|event| event.name == kind.event());
        let data = event.map_or_else(|| json!({}), |event| event.data.clone());
        let mut used = Map::new();
        collect(&catalogue.definitions, &data, &mut used);
        for (name, schema) in used {
            schemas.entry(name).or_insert(schema);
        }
        let data = if kind.event() == name::SESSION_EXPIRED {
            of_session(&data)
        } else {
            data
        };
        let summary = event.map(|event| catalogue.summary(&event.data)).unwrap_or_default();
        webhooks.insert(kind.as_str().to_owned(), webhook(kind.as_str(), summary, &data));
    }
    webhooks.insert(
        TEST.to_owned(),
        webhook(TEST, "An operator tries the receiver.", &json!({"type": "object"})),
    );
    webhooks
}

/// Payload with the session that the event is for.
fn of_session(data: &Value) -> Value {
    let session = json!({
        "type": "object",
        "required": ["sessionId"],
        "properties": {"sessionId": reference_to("SessionId")},
    });
    json!({"allOf": [data, session]})
}

fn webhook(kind: &str, summary: &str, data: &Value) -> Value {
    let body = json!({
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"type": "string", "const": kind},
            "timestamp": reference_to("Timestamp"),
            "data": data,
        },
    });
    let text = |name: &str, description: &str| json!({"name": name, "in": "header", "required": true, "description": description, "schema": {"type": "string"}});
    json!({
        "post": {
            "operationId": format!("webhook.{kind}"),
            "summary": summary,
            "tags": ["webhooks"],
            "security": [],
            "parameters": [
                text("webhook-id", "Id of the event, the same for every attempt."),
                text("webhook-timestamp", "Time of the attempt, in seconds since 1970."),
                text("webhook-signature", "Signatures of Standard Webhooks 1.0, separated by spaces."),
            ],
            "requestBody": {"required": true, "content": {"application/json": {"schema": body}}},
            "responses": {
                "2XX": {"description": "Accepted."},
                "410": {"description": "Given up: the webhook is not sent again."},
                "default": {"description": "Failed: the webhook is sent again later."},
            },
        },
    })
}
