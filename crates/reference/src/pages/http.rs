//! Page of the HTTP routes, from the OpenAPI document.

use serde_json::{Map, Value};

use super::{code, fields, row, section};
use crate::typescript::type_of;

pub(super) fn page(openapi: &Value) -> String {
    let mut page = "# Reference: HTTP\n".to_owned();
    let none = Map::new();
    let object = |pointer: &str| openapi.pointer(pointer).and_then(Value::as_object).unwrap_or(&none);
    let schemas = object("/components/schemas");
    for (path, item) in object("/paths") {
        for (method, operation) in item
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| *key != "servers")
        {
            let name = format!("{} {path}", method.to_uppercase());
            section(&mut page, &name, &summary(operation));
            parameters(&mut page, operation);
            body(&mut page, "Body", schemas, operation.pointer("/requestBody/content"));
            for (status, response) in operation
                .get("responses")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                if status.starts_with('2') {
                    body(
                        &mut page,
                        &format!("Response {status}"),
                        schemas,
                        response.get("content"),
                    );
                }
            }
        }
    }
    page
}

/// Summary, with port and scope.
fn summary(operation: &Value) -> String {
    let text = |pointer: &str| operation.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let scope = text("/security/0/internalToken/0");
    let scope = if scope.is_empty() {
        String::new()
    } else {
        format!(", scope `{scope}`")
    };
    format!("{} Port: {}{scope}.", text("/summary"), text("/tags/0"))
}

fn parameters(page: &mut String, operation: &Value) {
    let Some(parameters) = operation
        .get("parameters")
        .and_then(Value::as_array)
        .filter(|all| !all.is_empty())
    else {
        return;
    };
    page.push_str("\n| parameter | in | type | meaning |\n| --- | --- | --- | --- |\n");
    for parameter in parameters {
        let text = |name: &str| parameter.get(name).and_then(Value::as_str).unwrap_or_default();
        let schema = parameter.get("schema").map(type_of).unwrap_or_default();
        row(
            page,
            &[&code(text("name")), text("in"), &code(&schema), text("description")],
        );
    }
}

/// Type of a body, with its fields where it has a name.
fn body(page: &mut String, title: &str, schemas: &Map<String, Value>, content: Option<&Value>) {
    let Some((media_type, content)) = content.and_then(Value::as_object).and_then(|all| all.iter().next()) else {
        return;
    };
    let Some(schema) = content.get("schema") else { return };
    page.push_str(&format!("\n{title}, `{media_type}`: {}\n", code(&type_of(schema))));
    if schema.get("$ref").is_some() {
        page.push_str(&fields(schemas, schema));
    }
}
