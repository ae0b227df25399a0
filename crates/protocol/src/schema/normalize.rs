//! Form of all schemas: descriptions of one line a paragraph, enumerations as `enum`, no formats of Rust.

use schemars::generate::Contract;
use serde_json::{Map, Value, json};

/// Brings a schema, with everything in it, into the form of the exported documents.
pub(super) fn normalize(schema: &mut Value, contract: &Contract) {
    match schema {
        Value::Object(fields) => {
            describe(fields);
            merge_variants(fields);
            if fields.get("format").is_some_and(is_of_rust) {
                fields.remove("format");
            }
            if fields.get("default").is_some_and(Value::is_null) {
                fields.remove("default");
            }
            if contract.is_serialize() {
                absent_instead_of_null(fields);
            } else {
                refuse_nul(fields);
            }
            fields.values_mut().for_each(|value| normalize(value, contract));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| normalize(item, contract)),
        _ => {}
    }
}

/// Joins the lines of a description, and turns links of rustdoc into code.
fn describe(fields: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = fields.get_mut("description") {
        let paragraphs = text.split("\n\n");
        let joined: Vec<_> = paragraphs
            .map(|paragraph| paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" "))
            .collect();
        *text = joined.join("\n\n").replace("[`", "`").replace("`]", "`");
    }
}

/// Writes a choice of constants as an enumeration, with the descriptions beside it.
fn merge_variants(fields: &mut Map<String, Value>) {
    let Some(Value::Array(variants)) = fields.get("oneOf") else {
        return;
    };
    let constants: Option<Vec<_>> = variants.iter().map(|variant| variant.get("const").cloned()).collect();
    let Some(constants) = constants else { return };
    let descriptions: Map<String, Value> = variants
        .iter()
        .filter_map(|variant| {
            let constant = variant.get("const")?;
            let name = constant
                .as_str()
                .map_or_else(|| constant.to_string(), ToOwned::to_owned);
            let mut described = Map::from_iter([("description".to_owned(), variant.get("description")?.clone())]);
            describe(&mut described);
            Some((name, described.remove("description")?))
        })
        .collect();
    let kind = if constants.iter().all(Value::is_string) {
        "string"
    } else {
        "integer"
    };
    fields.remove("oneOf");
    fields.insert("type".to_owned(), kind.into());
    fields.insert("enum".to_owned(), constants.into());
    fields.insert("x-enumDescriptions".to_owned(), descriptions.into());
}

/// Reports formats that name a number of Rust: its bounds stand beside it.
fn is_of_rust(format: &Value) -> bool {
    let format = format.as_str().unwrap_or_default();
    ["int", "uint", "float", "double"]
        .iter()
        .any(|kind| format.starts_with(kind))
}

/// Takes null from the fields that may be absent.
fn absent_instead_of_null(fields: &mut Map<String, Value>) {
    let required: Vec<_> = match fields.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
        _ => Vec::new(),
    };
    let Some(Value::Object(properties)) = fields.get_mut("properties") else {
        return;
    };
    let optional = properties.iter_mut().filter(|(name, _)| !required.contains(name));
    optional.for_each(|(_, schema)| without_null(schema));
}

fn without_null(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if let Some(Value::Array(kinds)) = fields.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            let kind = kind.clone();
            fields.insert("type".to_owned(), kind);
        }
    }
    if let Some(Value::Array(values)) = fields.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let Some(Value::Array(choices)) = fields.get_mut("anyOf") else {
        return;
    };
    choices.retain(|choice| *choice != json!({"type": "null"}));
    if let [Value::Object(only)] = choices.as_slice() {
        let only = only.clone();
        fields.remove("anyOf");
        for (name, value) in only {
            fields.entry(name).or_insert(value);
        }
    }
}

/// Refuses NUL in texts, as decoding does.
fn refuse_nul(fields: &mut Map<String, Value>) {
    let is_text = match fields.get("type") {
        Some(Value::String(kind)) => kind == "string",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "string"),
        _ => false,
    };
    let is_free = ["enum", "const", "format", "pattern"]
        .iter()
        .all(|keyword| !fields.contains_key(*keyword));
    if is_text && is_free {
        fields.insert("pattern".to_owned(), WITHOUT_NUL.into());
    }
}

const WITHOUT_NUL: &str = r"^[^\x00]*$";

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(mut schema: Value, contract: &Contract) -> Value {
        normalize(&mut schema, contract);
        schema
    }

    #[test]
    fn optional_field_is_never_null_in_what_is_written() {
        let schema = json!({
            "properties": {
                "id": {"type": ["string", "null"]},
                "at": {"anyOf": [{"$ref": "#/$defs/Timestamp"}, {"type": "null"}], "description": "Time\nof it."},
                "last": {"oneOf": [{"$ref": "#/$defs/Timestamp"}, {"type": "null"}]},
                "kept": {"type": ["string", "null"]},
            },
            "required": ["kept"],
        });
        let expected = json!({
            "properties": {
                "id": {"type": "string"},
                "at": {"$ref": "#/$defs/Timestamp", "description": "Time of it."},
                "last": {"oneOf": [{"$ref": "#/$defs/Timestamp"}, {"type": "null"}]},
                "kept": {"type": ["string", "null"]},
            },
            "required": ["kept"],
        });
        assert_eq!(normalized(schema, &Contract::Serialize), expected);
    }

    #[test]
    fn text_that_is_read_has_no_nul() {
        let schema = json!({"properties": {"type": {"type": "string"}, "kind": {"type": "string", "enum": ["a"]}}});
        let expected = json!({
            "properties": {"type": {"type": "string", "pattern": WITHOUT_NUL}, "kind": {"type": "string", "enum": ["a"]}},
        });
        assert_eq!(normalized(schema, &Contract::Deserialize), expected);
    }

    #[test]
    fn documented_variants_become_an_enumeration() {
        let schema = json!({"oneOf": [
            {"type": "string", "const": "a", "description": "First, see [`Other`]."},
            {"type": "string", "const": "b", "description": "Second."},
        ]});
        let expected = json!({
            "type": "string", "enum": ["a", "b"], "x-enumDescriptions": {"a": "First, see `Other`.", "b": "Second."},
        });
        assert_eq!(normalized(schema, &Contract::Deserialize), expected);
    }
}
