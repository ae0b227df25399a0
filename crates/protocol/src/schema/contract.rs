//! Definitions of both contracts in one set: what is read under the same name as what is written, unless it differs.

use std::collections::BTreeSet;

use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

use super::normalize::normalize;

/// Generator of the schemas of one contract.
pub(super) struct Contracted {
    generator: SchemaGenerator,
    contract: Contract,
}

impl Contracted {
    pub(super) fn new(contract: Contract) -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.contract = contract.clone());
        Self {
            generator: settings.into_generator(),
            contract,
        }
    }

    /// Adds the definition of a type.
    pub(super) fn add<T: JsonSchema>(&mut self) {
        let _reference = self.generator.subschema_for::<T>();
    }

    /// Schema of one message.
    pub(super) fn schema(&mut self, of: impl FnOnce(&mut SchemaGenerator) -> Schema) -> Value {
        let mut schema = of(&mut self.generator).to_value();
        normalize(&mut schema, &self.contract);
        schema
    }

    /// Schemas of several messages, by their names.
    pub(super) fn schemas(
        &mut self,
        of: impl FnOnce(&mut SchemaGenerator) -> Vec<(&'static str, Schema)>,
    ) -> Vec<(&'static str, Value)> {
        let mut schemas = Vec::new();
        for (name, schema) in of(&mut self.generator) {
            let mut schema = schema.to_value();
            normalize(&mut schema, &self.contract);
            schemas.push((name, schema));
        }
        schemas
    }

    /// Definitions of all types that were added, and of those that they refer to.
    pub(super) fn definitions(mut self) -> Map<String, Value> {
        let mut definitions = self.generator.take_definitions(false);
        definitions
            .values_mut()
            .for_each(|schema| normalize(schema, &self.contract));
        definitions
    }
}

/// Adds what is read to what is written, under another name where it differs.
pub(super) fn merge(definitions: &mut Map<String, Value>, mut read: Map<String, Value>, payloads: &mut [Value]) {
    let names = differing(&read, definitions);
    read.values_mut().for_each(|schema| rename(schema, &names));
    payloads.iter_mut().for_each(|schema| rename(schema, &names));
    for (name, schema) in read {
        let name = if names.contains(&name) { input_name(&name) } else { name };
        definitions.insert(name, schema);
    }
}

/// Name of a reference's definition.
pub(super) fn referenced(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix(DEFINITIONS)
}

/// Start of a reference to a definition.
pub(super) const DEFINITIONS: &str = "#/$defs/";

/// Names under which both contracts have a definition, and not the same one. What refers to such a name differs too.
fn differing(read: &Map<String, Value>, written: &Map<String, Value>) -> BTreeSet<String> {
    let mut differing: BTreeSet<String> = BTreeSet::new();
    loop {
        let found: Vec<_> = read
            .iter()
            .filter(|(name, schema)| {
                let other = written.get(*name);
                !differing.contains(*name)
                    && other.is_some_and(|other| other != *schema || refers_to(schema, &differing))
            })
            .map(|(name, _)| name.clone())
            .collect();
        if found.is_empty() {
            return differing;
        }
        differing.extend(found);
    }
}

fn refers_to(schema: &Value, names: &BTreeSet<String>) -> bool {
    match schema {
        Value::Object(fields) => {
            referenced(schema).is_some_and(|name| names.contains(name))
                || fields.values().any(|value| refers_to(value, names))
        }
        Value::Array(items) => items.iter().any(|item| refers_to(item, names)),
        _ => false,
    }
}

/// Name of the definition that is read, where another one is written.
pub(super) fn input_name(name: &str) -> String {
    format!("{name}Input")
}

/// Points references to these names to the definitions that are read.
fn rename(schema: &mut Value, names: &BTreeSet<String>) {
    let renamed = referenced(schema).filter(|name| names.contains(*name)).map(input_name);
    match schema {
        Value::Object(fields) => {
            if let Some(name) = renamed {
                fields.insert("$ref".to_owned(), format!("{DEFINITIONS}{name}").into());
            }
            fields.values_mut().for_each(|value| rename(value, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn definition_that_refers_to_a_differing_one_differs_too() {
        let definitions = |leaf: &str| {
            let Value::Object(definitions) = json!({
                "Leaf": {"type": leaf},
                "Outer": {"properties": {"leaf": {"$ref": "#/$defs/Leaf"}}},
                "Other": {"type": "string"},
            }) else {
                panic!("an object was written above");
            };
            definitions
        };
        let found = differing(&definitions("string"), &definitions("integer"));
        assert_eq!(found.iter().collect::<Vec<_>>(), ["Leaf", "Outer"]);
        let mut outer = json!({"anyOf": [{"$ref": "#/$defs/Leaf"}, {"$ref": "#/$defs/Other"}]});
        rename(&mut outer, &found);
        assert_eq!(
            outer,
            json!({"anyOf": [{"$ref": "#/$defs/LeafInput"}, {"$ref": "#/$defs/Other"}]})
        );
    }
}
