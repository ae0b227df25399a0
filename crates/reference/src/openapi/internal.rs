//! Operations of the internal API, from the table that the gateway matches and authorizes requests by.

use protocol::api::Problem;
use protocol::api::table::{ApiRoute, IdempotencyKey, QueryParameter, QuerySchema, ROUTES};
use protocol::schema::{ApiCatalogue, reference_to};
use serde_json::{Map, Value, json};

use super::{ExportError, Paths, parameters};
use crate::document::insert;

/// Adds every row of the table.
pub(super) fn add(paths: &mut Paths, catalogue: &ApiCatalogue) -> Result<(), ExportError> {
    for route in ROUTES {
        paths.add(route.method, route.path, "internal", operation(route, catalogue)?);
    }
    Ok(())
}

fn operation(route: &ApiRoute, catalogue: &ApiCatalogue) -> Result<Value, ExportError> {
    let missing = |schema: &str| ExportError::NoSchema {
        operation: route.operation_id,
        schema: schema.to_owned(),
    };
    let mut all: Vec<Value> = Vec::new();
    for name in parameters(route.path) {
        let schema = path_parameter(name).ok_or_else(|| missing(name))?;
        all.push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
    }
    all.extend(route.query.iter().map(query_parameter));
    if route.idempotency == IdempotencyKey::Header {
        all.push(idempotency_key());
    }
    let response = catalogue.response(route.response.schema);
    let response = response.ok_or_else(|| missing(route.response.schema))?;
    let mut operation = json!({
        "operationId": route.operation_id,
        "summary": route.summary,
        "security": [{"internalToken": [route.scope.as_str()]}],
        "parameters": all,
        "responses": responses(route, &response),
    });
    if let Some(body) = route.request {
        let schema = catalogue.request(body.schema).ok_or_else(|| missing(body.schema))?;
        let body = json!({
            "description": format!("At most {} bytes.", body.max_bytes),
            "required": !may_be_empty(catalogue, body.schema),
            "content": {"application/json": {"schema": schema}},
        });
        insert(&mut operation, "requestBody", body);
    }
    Ok(operation)
}

/// Schema of a parameter of a path.
fn path_parameter(name: &str) -> Option<Value> {
    match name {
        "id" => Some(reference_to("UserId")),
        "session" => Some(reference_to("SessionId")),
        "platform" => Some(reference_to("AccountType")),
        _ => None,
    }
}

fn query_parameter(parameter: &QueryParameter) -> Value {
    let schema = match parameter.schema {
        QuerySchema::Text => json!({"type": "string"}),
        QuerySchema::Word(words) => json!({"type": "string", "enum": words}),
        QuerySchema::Time => json!({"type": "string", "format": "date-time"}),
        QuerySchema::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
    };
    json!({"name": parameter.name, "in": "query", "description": parameter.summary, "schema": schema})
}

fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Key of the change: the same key with the same request gets the first result, with another one `conflict`.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    })
}

/// A body with no member that must be present may be left out.
fn may_be_empty(catalogue: &ApiCatalogue, name: &str) -> bool {
    let definition = catalogue.definitions.get(name);
    definition.is_some_and(|schema| schema.get("required").is_none() && schema.get("oneOf").is_none())
}

fn responses(route: &ApiRoute, response: &Value) -> Value {
    let success = json!({
        "description": "Success.",
        "content": {"application/json": {"schema": response}},
    });
    let mut responses = Map::from_iter([(route.response.status.to_string(), success)]);
    let of_body = |error: &&Error| error.status != "413" || route.request.is_some();
    let of_key = |error: &&Error| error.status != "409" || route.idempotency != IdempotencyKey::None;
    for error in ERRORS.iter().filter(of_body).filter(of_key) {
        responses.insert(error.status.to_owned(), problem(error));
    }
    responses.into()
}

fn problem(error: &Error) -> Value {
    let mut response = json!({
        "description": error.description,
        "content": {Problem::MEDIA_TYPE: {"schema": reference_to("Problem")}},
    });
    if let Some(header) = error.header {
        let headers = json!({header: {"schema": {"type": "string"}}});
        insert(&mut response, "headers", headers);
    }
    response
}

/// Error that any route may answer with.
struct Error {
    status: &'static str,
    description: &'static str,
    /// Header of the response.
    header: Option<&'static str>,
}

const fn error(status: &'static str, description: &'static str, header: Option<&'static str>) -> Error {
    Error {
        status,
        description,
        header,
    }
}

const ERRORS: [Error; 9] = [
    error("400", "The request cannot be read; `message` names the field.", None),
    error("401", "The token is missing or unknown.", Some("WWW-Authenticate")),
    error("403", "The token does not have the scope of the route.", None),
    error("404", "There is no such thing.", None),
    error(
        "409",
        "The key was used with another request, or the state has changed meanwhile.",
        None,
    ),
    error("413", "The body is too large.", None),
    error(
        "429",
        "Too many requests of this caller, or refused tokens of this address.",
        Some("Retry-After"),
    ),
    error("500", "A fault of Postern.", None),
    error(
        "503",
        "Part of Postern is unavailable; `message` says whether the outcome is known.",
        Some("Retry-After"),
    ),
];
