//! Definitions of both contracts in one set: what is read under the same name as what is written, unless it differs.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Name of a reference's definition.
pub(super) fn referenced(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix(DEFINITIONS)
}

/// Start of a reference to a definition.
pub(super) const DEFINITIONS: &str = "#/$defs/";

/// Names under which both contracts have a definition, and not the same one. What refers to such a name differs too.
pub(super) fn differing(read: &Map<String, Value>, written: &Map<String, Value>) -> BTreeSet<String> {
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
pub(super) fn rename(schema: &mut Value, names: &BTreeSet<String>) {
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
