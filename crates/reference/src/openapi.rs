//! OpenAPI 3.1: the internal API from the gateway's table of routes, the public routes, and those of the health port.

mod health;
mod internal;
mod public;
mod webhooks;

use protocol::schema::{ApiCatalogue, Catalogue};
use serde_json::{Map, Value, json};

use crate::document::insert;

/// Route that the documents cannot describe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// The table of routes names a type that `protocol::api` does not have.
    #[error("{operation}: no schema of the type {schema}")]
    NoSchema {
        /// Operation of the route.
        operation: &'static str,
        /// Name of the type.
        schema: String,
    },
    /// A public route, or one of the health port, has no description here.
    #[error("{0} has no description")]
    NotDescribed(String),
}

/// `openapi.json`.
pub(crate) fn document(sockets: &Catalogue) -> Result<Value, ExportError> {
    let catalogue = ApiCatalogue::new();
    let mut paths = Paths::default();
    internal::add(&mut paths, &catalogue)?;
    public::add(&mut paths)?;
    health::add(&mut paths)?;
    let mut schemas = catalogue.definitions.clone();
    schemas.insert("HttpFailure".to_owned(), public::failure());
    let webhooks = webhooks::webhooks(sockets, &mut schemas);
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Postern: HTTP",
            "version": crate::VERSION,
            "description": "The internal API of an application's servers, the routes that browsers and platforms use, those of an \
                            orchestrator, and the webhooks to the application. docs/protocol.md has the rules. Of a body further members are ignored.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [server("internal")],
        "tags": [
            {"name": "internal", "description": "Internal port (`POSTERN_INTERNAL_LISTEN`), for the application's servers."},
            {"name": "public", "description": "Public port (`POSTERN_LISTEN`), for browsers and platforms."},
            {"name": "webhooks", "description": "Requests that Postern sends to the application."},
            {"name": "health", "description": "Health port (`POSTERN_HEALTH_LISTEN`), for the orchestrator."},
        ],
        "paths": paths.0,
        "webhooks": webhooks,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "internalToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Token of `POSTERN_INTERNAL_TOKENS_FILE`, or `POSTERN_INTERNAL_TOKEN`. The roles of an operation are \
                                    the scopes that it needs.",
                },
            },
        },
    });
    point_to_components(&mut document);
    Ok(document)
}

/// Server of the routes with a tag.
fn server(tag: &str) -> Value {
    match tag {
        "internal" => json!({"url": "http://127.0.0.1:9091", "description": "Internal port of a gateway."}),
        "public" => json!({"url": "https://gateway.example.org", "description": "Public port of a gateway."}),
        _ => json!({"url": "http://127.0.0.1:9090", "description": "Health port of a node."}),
    }
}

/// Operations by path and method.
#[derive(Default)]
struct Paths(Map<String, Value>);

impl Paths {
    fn add(&mut self, method: &str, path: &str, tag: &str, operation: Value) {
        let item = self.0.entry(path).or_insert_with(|| json!({"servers": [server(tag)]}));
        let mut operation = operation;
        insert(&mut operation, "tags", json!([tag]));
        insert(item, &method.to_ascii_lowercase(), operation);
    }
}

/// Parameters of a path, `{name}` each.
fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn point_to_components(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get_mut("$ref") {
                *reference = reference.replace("#/$defs/", "#/components/schemas/");
            }
            fields.values_mut().for_each(point_to_components);
        }
        Value::Array(items) => items.iter_mut().for_each(point_to_components),
        _ => {}
    }
}
