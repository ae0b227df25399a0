//! Routes of the health port of every node.

use protocol::http_routes::{DEPENDENCIES, HEALTH, LIVEZ, METRICS, READYZ};
use serde_json::{Value, json};

use super::{ExportError, Paths};

/// Adds every route of the health port.
pub(super) fn add(paths: &mut Paths) -> Result<(), ExportError> {
    for path in HEALTH {
        let described = operation(path);
        let operation = described.ok_or_else(|| ExportError::NotDescribed(path.to_owned()))?;
        paths.add("GET", path, "health", operation);
    }
    Ok(())
}

fn operation(path: &str) -> Option<Value> {
    Some(match path {
        LIVEZ => json!({
            "operationId": "getLiveness",
            "summary": "Responds while the process does.",
            "security": [],
            "responses": {"200": text("Alive.")},
        }),
        READYZ => json!({
            "operationId": "getReadiness",
            "summary": "Reports whether the node may receive work, a line for each of its parts.",
            "security": [],
            "parameters": [{
                "name": "exclude",
                "in": "query",
                "description": "`draining` leaves the drain out.",
                "schema": {"type": "string"},
            }],
            "responses": {"200": text("Ready."), "503": text("Not ready.")},
        }),
        DEPENDENCIES => json!({
            "operationId": "getDependencies",
            "summary": "Reports the state of the node's dependencies.",
            "security": [],
            "responses": {
                "200": {
                    "description": "State of each dependency.",
                    "content": {"application/json": {"schema": dependencies()}},
                },
            },
        }),
        METRICS => json!({
            "operationId": "getMetrics",
            "summary": "Returns the metrics in the text format of Prometheus.",
            "security": [],
            "responses": {"200": text("Metrics."), "500": {"description": "The metrics could not be rendered."}},
        }),
        _ => return None,
    })
}

fn text(description: &str) -> Value {
    json!({"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}})
}

fn dependencies() -> Value {
    let time = json!({"type": "string", "format": "date-time"});
    json!({
        "type": "object",
        "required": ["dependencies"],
        "properties": {
            "dependencies": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name", "state", "since", "lastError"],
                    "properties": {
                        "name": {"type": "string"},
                        "state": {"type": "string"},
                        "since": time,
                        "lastError": {
                            "type": ["object", "null"],
                            "required": ["class", "at"],
                            "properties": {"class": {"type": "string"}, "at": time},
                        },
                    },
                },
            },
        },
    })
}
