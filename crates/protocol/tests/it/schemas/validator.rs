//! Validator of the exported schemas, by an implementation that is not ours.

use std::collections::BTreeMap;

use boon::{Compiler, SchemaIndex, Schemas};
use protocol::schema::Catalogue;
use serde_json::{Map, Value, json};

/// Compiled schemas: `event NAME`, `command NAME`, `answer NAME`, and `#NAME` for definitions.
pub(super) struct Validator {
    schemas: Schemas,
    indexes: BTreeMap<String, SchemaIndex>,
}

impl Validator {
    /// Schemas as they are exported.
    pub(super) fn open() -> Self {
        Self::new(false)
    }

    /// Schemas that refuse each field that they do not name.
    pub(super) fn closed() -> Self {
        Self::new(true)
    }

    fn new(is_closed: bool) -> Self {
        let catalogue = Catalogue::new();
        let mut definitions = catalogue.definitions.clone();
        let named: Vec<_> = definitions
            .keys()
            .map(|name| (format!("#{name}"), name.clone()))
            .collect();
        let events = catalogue.events.iter().chain(&catalogue.notices);
        let mut messages: Vec<_> = events
            .map(|event| (format!("event {}", event.name), event.data.clone()))
            .collect();
        for command in &catalogue.commands {
            messages.push((format!("command {}", command.kind.event()), command.data.clone()));
            messages.push((format!("answer {}", command.kind.response_event()), command.answer()));
        }
        let mut pointers: BTreeMap<String, String> = named.into_iter().collect();
        for (index, (name, schema)) in messages.into_iter().enumerate() {
            let pointer = format!("message-{index}");
            definitions.insert(pointer.clone(), schema);
            pointers.insert(name, pointer);
        }
        if is_closed {
            definitions.values_mut().for_each(close);
        }
        Self::compile(definitions, &pointers)
    }

    fn compile(definitions: Map<String, Value>, pointers: &BTreeMap<String, String>) -> Self {
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource(DOCUMENT, json!({"$defs": definitions})).unwrap();
        let mut schemas = Schemas::new();
        let mut compile = |(name, pointer): (&String, &String)| {
            let index = compiler.compile(&format!("{DOCUMENT}#/$defs/{pointer}"), &mut schemas);
            (name.clone(), index.unwrap_or_else(|error| panic!("{name}: {error:#}")))
        };
        let indexes = pointers.iter().map(&mut compile).collect();
        Self { schemas, indexes }
    }

    pub(super) fn knows(&self, schema: &str) -> bool {
        self.indexes.contains_key(schema)
    }

    /// Validates a value.
    pub(super) fn check(&self, schema: &str, value: &Value) -> Result<(), String> {
        let index = self
            .indexes
            .get(schema)
            .unwrap_or_else(|| panic!("{schema} has no schema"));
        let checked = self.schemas.validate(value, *index);
        checked.map_err(|error| format!("{error:#}"))
    }

    /// Asserts that a value is valid.
    pub(super) fn assert(&self, schema: &str, value: &Value) {
        self.check(schema, value)
            .unwrap_or_else(|error| panic!("{value}\n{error}"));
    }
}

/// Refuses further fields, at any depth.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields
                .get("properties")
                .is_some_and(|properties| properties.get("type").is_none_or(Value::is_object))
            {
                fields.insert("additionalProperties".to_owned(), false.into());
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

const DOCUMENT: &str = "https://postern.invalid/wire.json";
