//! Markdown pages of the documents, for the reference site.

mod http;

use protocol::schema::{Catalogue, PUSHED_ANSWERS};
use serde_json::{Map, Value};

use crate::document::Document;
use crate::typescript::type_of;

/// Pages of events, commands, types and routes, and one that lists the files.
pub(crate) fn documents(catalogue: &Catalogue, openapi: &Value) -> Vec<Document> {
    [
        ("events.md", events(catalogue)),
        ("commands.md", commands(catalogue)),
        ("types.md", types(&catalogue.definitions)),
        ("http.md", http::page(openapi)),
        ("files.md", FILES.to_owned()),
    ]
    .map(|(path, text)| Document {
        path: path.to_owned(),
        text,
    })
    .to_vec()
}

const FILES: &str = "# Generated files\n\n\
    - [openapi.json](openapi.json): OpenAPI 3.1, the internal API, the public routes and the health port\n\
    - [asyncapi.json](asyncapi.json): AsyncAPI 3, the sockets in both dialects\n\
    - [schemas/index.json](schemas/index.json): JSON Schemas (2020-12) of events, commands, answers and codes, a file each\n\
    - [schemas/definitions.json](schemas/definitions.json): the same types in one file\n\
    - [typescript/protocol.ts](typescript/protocol.ts): TypeScript types\n";

fn events(catalogue: &Catalogue) -> String {
    let mut page = "# Reference: events\n\nPayloads of the events that a gateway sends. Types are on [a page of their own](types.md).\n".to_owned();
    for event in catalogue.events.iter().chain(&catalogue.notices) {
        section(&mut page, event.name, catalogue.summary(&event.data));
        page.push_str(&fields(&catalogue.definitions, &event.data));
    }
    for command in catalogue
        .commands
        .iter()
        .filter(|command| PUSHED_ANSWERS.contains(&command.kind))
    {
        let summary = format!("The answer to `{}`, sent without the command.", command.kind.event());
        section(&mut page, command.kind.response_event(), &summary);
        page.push_str(&fields(&catalogue.definitions, &command.success));
    }
    page
}

fn commands(catalogue: &Catalogue) -> String {
    let mut page = "# Reference: commands\n\nPayloads of the commands and of their answers. A failed answer is a `Failure`. Types are on \
                    [a page of their own](types.md).\n"
        .to_owned();
    for command in &catalogue.commands {
        section(&mut page, command.kind.event(), command.kind.summary());
        page.push_str(&fields(&catalogue.definitions, &command.data));
        page.push_str(&format_answer(command.kind.response_event()));
        page.push_str(&fields(&catalogue.definitions, &command.success));
    }
    page
}

fn format_answer(event: &str) -> String {
    format!("\nAnswer `{event}`:\n")
}

fn types(definitions: &Map<String, Value>) -> String {
    let mut page = "# Reference: types\n".to_owned();
    for (name, schema) in definitions {
        let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        section(&mut page, name, description);
        if schema.get("properties").is_some() {
            page.push_str(&fields(definitions, schema));
        } else if let Some(meanings) = schema.get("x-enumDescriptions") {
            page.push_str("\n| value | meaning |\n| --- | --- |\n");
            for value in schema.get("enum").and_then(Value::as_array).into_iter().flatten() {
                let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
                let meaning = meanings.get(&value).and_then(Value::as_str).unwrap_or_default();
                row(&mut page, &[&code(&value), meaning]);
            }
        } else {
            page.push_str(&format!("\n{}\n", code(&type_of(schema))));
        }
    }
    page
}

/// Heading with the text below it.
fn section(page: &mut String, name: &str, text: &str) {
    page.push_str(&format!("\n## `{name}`\n\n{text}\n"));
}

/// Table of the fields of an object, those that are always present first.
fn fields(definitions: &Map<String, Value>, schema: &Value) -> String {
    let name = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|path| path.rsplit('/').next());
    let schema = name.and_then(|name| definitions.get(name)).unwrap_or(schema);
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return "\nNo fields.\n".to_owned();
    };
    let required: Vec<_> = match schema.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let mut table = "\n| field | type | | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    let optional = properties
        .keys()
        .map(String::as_str)
        .filter(|name| !required.contains(name));
    let names = required.iter().copied().map(|name| (name, "required"));
    for (name, presence) in names.chain(optional.map(|name| (name, "optional"))) {
        let Some(schema) = properties.get(name) else { continue };
        let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let meaning = format!("{description}{}", bounds(schema));
        row(&mut table, &[&code(name), &code(&type_of(schema)), presence, &meaning]);
    }
    table
}

/// Bounds of a value, as text.
fn bounds(schema: &Value) -> String {
    let number = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
    match (number("maxLength"), number("minimum"), number("maximum")) {
        (Some(most), ..) => format!(" At most {most} bytes."),
        (_, Some(least), Some(most)) => format!(" {least} to {most}."),
        _ => String::new(),
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn row(table: &mut String, cells: &[&str]) {
    let cells: Vec<_> = cells
        .iter()
        .map(|cell| cell.replace('|', "\\|").replace('\n', " "))
        .collect();
    table.push_str(&format!("| {} |\n", cells.join(" | ")));
}
