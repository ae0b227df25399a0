//! Schemas of a document, closed: a field that they do not name is invalid.

use std::collections::BTreeMap;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

/// Schemas by name.
pub(super) struct Validator {
    schemas: Schemas,
    indexes: BTreeMap<String, SchemaIndex>,
}

impl Validator {
    /// Schemas that refer to the components of this document.
    pub(super) fn new(document: &Value, named: Vec<(String, Value)>) -> Self {
        let mut components = document["components"]["schemas"].as_object().unwrap().clone();
        components.values_mut().for_each(|schema| close(schema, false));
        let mut pointers = Vec::new();
        for (number, (name, mut schema)) in named.into_iter().enumerate() {
            close(&mut schema, true);
            let pointer = format!("named-{number}");
            components.insert(pointer.clone(), schema);
            pointers.push((name, pointer));
        }
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        let resource = json!({ "components": { "schemas": components } });
        compiler.add_resource(DOCUMENT, resource).unwrap();
        let mut schemas = Schemas::new();
        let mut compile = |(name, pointer): (String, String)| {
            let index = compiler.compile(&format!("{DOCUMENT}#/components/schemas/{pointer}"), &mut schemas);
            let index = index.unwrap_or_else(|error| panic!("{name}: {error:#}"));
            (name, index)
        };
        let indexes = pointers.into_iter().map(&mut compile).collect();
        Self { schemas, indexes }
    }

    /// Validates a value.
    pub(super) fn check(&self, name: &str, value: &Value) -> Result<(), String> {
        let index = self.indexes.get(name);
        let index = index.unwrap_or_else(|| panic!("{name} is not in the document: {value}"));
        let checked = self.schemas.validate(value, *index);
        checked.map_err(|error| format!("{name}: {value}\n{error:#}"))
    }

    /// Fails unless the value is valid.
    pub(super) fn assert(&self, name: &str, value: &Value) {
        self.check(name, value).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Closes the objects of a schema, which is that of a `whole` value or a part of such a one. Lists of draft-07 become those of 2020-12,
/// which alone can close an object of several parts.
fn close(schema: &mut Value, is_whole: bool) {
    let Some(fields) = schema.as_object_mut() else { return };
    if fields.get("items").is_some_and(Value::is_array) {
        let items = fields.remove("items").unwrap();
        fields.insert("prefixItems".to_owned(), items);
    }
    for (keyword, value) in fields.iter_mut() {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(|value| close(value, true)),
            ("prefixItems", Value::Array(items)) => items.iter_mut().for_each(|value| close(value, true)),
            ("items", value) => close(value, true),
            ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => parts.iter_mut().for_each(|part| close(part, false)),
            _ => {}
        }
    }
    let names_fields = ["$ref", "properties", "allOf", "anyOf", "oneOf"];
    if is_whole && names_fields.iter().any(|keyword| fields.contains_key(*keyword)) {
        fields.insert("unevaluatedProperties".to_owned(), json!(false));
    }
}

const DOCUMENT: &str = "https://postern.invalid/document.json";

#[test]
fn field_that_no_part_of_a_schema_names_is_invalid_at_any_depth() {
    let of_both = json!({"allOf": [{"$ref": "#/components/schemas/A"}, {"properties": {"b": {"type": "integer"}}}]});
    let document = json!({"components": {"schemas": {"A": {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"properties": {"c": {"type": "integer"}}}}, "free": {"description": "Any."}},
    }}}});
    let list = json!({"type": "array", "items": [{"type": "string"}, of_both], "maxItems": 2});
    let validator = Validator::new(&document, vec![("list".to_owned(), list)]);
    validator.assert("list", &json!(["name", {"a": [{"c": 1}], "b": 2, "free": {"x": 1}}]));
    for unknown in [json!({"x": 1}), json!({"a": [{"x": 1}]}), json!({"b": "text"})] {
        assert!(validator.check("list", &json!(["name", unknown])).is_err(), "{unknown}");
    }
}
