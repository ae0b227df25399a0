//! Schemas of publications: one choice for each event that can be published.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::{MAX_BATCH, Publication, PublicationBatch};
use crate::account::StatusChanged;
use crate::event::name;
use crate::id::UserId;
use crate::notification::Notification;
use crate::security::Alert;

impl JsonSchema for Publication<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Publication".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let choices = [
            publication::<Alert>(name::ALERT, generator),
            publication::<Notification>(name::NOTIFICATION, generator),
            publication::<StatusChanged>(name::STATUS_CHANGED, generator),
        ];
        json_schema!({"description": "Event to publish.", "oneOf": choices})
    }
}

impl JsonSchema for PublicationBatch<'_> {
    fn schema_name() -> Cow<'static, str> {
        "PublicationBatch".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let user = generator.subschema_for::<UserId>();
        let publication = generator.subschema_for::<Publication<'_>>();
        let addressed = json!({"type": "object", "required": ["userId"], "properties": {"userId": user}});
        json_schema!({
            "type": "object",
            "description": "Events to publish.",
            "required": ["events"],
            "properties": {
                "events": {
                    "type": "array",
                    "description": "Events, each with its user. One that is invalid fails alone.",
                    "minItems": 1,
                    "maxItems": MAX_BATCH,
                    "items": {"allOf": [publication, addressed]},
                },
            },
        })
    }
}

fn publication<T: JsonSchema>(event: &str, generator: &mut SchemaGenerator) -> Value {
    json!({
        "type": "object",
        "title": event,
        "required": ["event", "data"],
        "properties": {
            "event": {"type": "string", "const": event, "description": "Name of the event."},
            "data": data::<T>(generator),
            "idempotencyKey": {
                "type": ["string", "null"],
                "description": "Key under which a repeated request publishes no second event.",
                "minLength": 1,
                "maxLength": 128,
            },
        },
    })
}

/// Payload of an event, without the fields that it gets from the request.
fn data<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    let mut schema = T::json_schema(generator).to_value();
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|field| !DEFAULTED.iter().any(|defaulted| field == defaulted));
    }
    if let Some(alert_id) = schema.pointer_mut("/properties/alertId") {
        *alert_id = json!({"description": "Ignored: Postern generates it."});
    }
    schema
}

/// Required fields that an event gets from the request: the user of the path, an id, and the time.
const DEFAULTED: [&str; 3] = ["alertId", "timestamp", "userId"];
