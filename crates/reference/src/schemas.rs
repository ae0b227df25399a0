//! JSON Schemas: a file for each event, command, answer and set of codes, each complete in itself, and one with all definitions.

use std::collections::BTreeMap;

use protocol::schema::{Catalogue, PUSHED_ANSWERS};
use serde_json::{Map, Value, json};

use crate::document::Document;

/// Files below `schemas/`, with their index.
pub(crate) fn documents(catalogue: &Catalogue) -> Vec<Document> {
    let mut files = Files {
        catalogue,
        documents: Vec::new(),
        index: BTreeMap::new(),
    };
    for event in catalogue.events.iter().chain(&catalogue.notices) {
        files.add("events", event.name, &event.data);
    }
    for command in &catalogue.commands {
        files.add("commands", command.kind.event(), &with_options(&command.data));
        files.add("answers", command.kind.response_event(), &command.answer());
        if PUSHED_ANSWERS.contains(&command.kind) {
            files.add("events", command.kind.response_event(), &command.answer());
        }
    }
    for name in [
        "Auth",
        "CloseCode",
        "ErrorCode",
        "Failure",
        "Ready",
        "RefusalData",
        "TokenFault",
    ] {
        files.add("types", name, &protocol::schema::reference_to(name));
    }
    let all = json!({"$schema": DIALECT, "title": "Postern", "$defs": catalogue.definitions});
    let index = json!(files.index);
    let mut documents = files.documents;
    documents.push(Document::json("schemas/definitions.json", &all));
    documents.push(Document::json("schemas/index.json", &index));
    documents
}

/// Payload of a command with the fields that any command may carry.
pub(crate) fn with_options(data: &Value) -> Value {
    json!({"allOf": [data, protocol::schema::reference_to("CommandOptions")]})
}

struct Files<'a> {
    catalogue: &'a Catalogue,
    documents: Vec<Document>,
    /// Paths by kind and name.
    index: BTreeMap<&'static str, BTreeMap<String, String>>,
}

impl Files<'_> {
    /// Adds the file of one message, with the definitions that it refers to.
    fn add(&mut self, kind: &'static str, name: &str, schema: &Value) {
        let path = format!("{kind}/{}.json", name.replace(':', "."));
        let mut root = Map::from_iter([
            ("$schema".to_owned(), DIALECT.into()),
            ("title".to_owned(), name.into()),
        ]);
        root.extend(schema.as_object().cloned().unwrap_or_default());
        let mut used = Map::new();
        collect(&self.catalogue.definitions, schema, &mut used);
        root.insert("$defs".to_owned(), used.into());
        self.documents
            .push(Document::json(format!("schemas/{path}"), &root.into()));
        self.index.entry(kind).or_default().insert(name.to_owned(), path);
    }
}

/// Collects the definitions that a schema refers to, directly or through others.
pub(crate) fn collect(definitions: &Map<String, Value>, schema: &Value, used: &mut Map<String, Value>) {
    match schema {
        Value::Object(fields) => {
            let reference = fields.get("$ref").and_then(Value::as_str);
            let name = reference.and_then(|reference| reference.rsplit('/').next());
            if let Some((name, definition)) = name.and_then(|name| definitions.get_key_value(name))
                && !used.contains_key(name)
            {
                used.insert(name.clone(), definition.clone());
                collect(definitions, definition, used);
            }
            fields.values().for_each(|value| collect(definitions, value, used));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(definitions, item, used)),
        _ => {}
    }
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
