//! Declaration of one type. The schemas of the wire types use few keywords; another one is written as `unknown`.

use serde_json::{Map, Value};

/// Exported declaration of a definition.
pub(super) fn declare(name: &str, schema: &Value) -> String {
    let doc = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let doc = comment(doc, "");
    // An alias, unlike an interface, can be assigned to `Record<string, unknown>`.
    let body = object(schema).unwrap_or_else(|| type_of(schema));
    format!("{doc}export type {name} = {body};\n")
}

/// Documentation comment with its line break; nothing for an empty text.
pub(super) fn comment(text: &str, indent: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("{indent}/** {} */\n", text.replace("*/", "* /").replace("\n\n", " "))
}

/// Body of an object type.
fn object(schema: &Value) -> Option<String> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return None;
    }
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    if properties.is_empty() {
        return Some("Record<never, never>".to_owned());
    }
    let required: Vec<_> = match schema.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let optional = properties
        .keys()
        .map(String::as_str)
        .filter(|name| !required.contains(name));
    let fields = required
        .iter()
        .copied()
        .map(|name| (name, ""))
        .chain(optional.map(|name| (name, "?")));
    let mut body = "{\n".to_owned();
    for (name, mark) in fields {
        let Some(schema) = properties.get(name) else { continue };
        let doc = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        body.push_str(&comment(doc, "  "));
        let text = if mark.is_empty() {
            type_of(schema)
        } else {
            without_null(schema)
        };
        body.push_str(&format!("  {name}{mark}: {text};\n"));
    }
    body.push('}');
    Some(body)
}

/// Type of a field that may be absent: an absent field is not written as null.
fn without_null(schema: &Value) -> String {
    let text = type_of(schema);
    // A choice with null that stands for a value of its own is a `oneOf`.
    if schema.get("oneOf").is_some() {
        return text;
    }
    text.strip_suffix(" | null").map_or(text.clone(), ToOwned::to_owned)
}

/// Type that a schema describes: its name, or the type itself.
pub(crate) fn type_of(schema: &Value) -> String {
    let Some(fields) = schema.as_object() else {
        return "unknown".to_owned();
    };
    if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
        return reference.rsplit('/').next().unwrap_or_default().to_owned();
    }
    if let Some(constant) = fields.get("const") {
        return constant.to_string();
    }
    if let Some(values) = fields.get("enum").and_then(Value::as_array) {
        return union(values.iter().map(Value::to_string));
    }
    if let Some(parts) = fields.get("allOf").and_then(Value::as_array) {
        return parts.iter().map(type_of).collect::<Vec<_>>().join(" & ");
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = fields.get(choice).and_then(Value::as_array) {
            return union(choices.iter().map(type_of));
        }
    }
    match fields.get("type") {
        Some(Value::Array(kinds)) => union(kinds.iter().filter_map(Value::as_str).map(|kind| of_type(kind, schema))),
        Some(Value::String(kind)) => of_type(kind, schema),
        _ => "unknown".to_owned(),
    }
}

fn of_type(kind: &str, schema: &Value) -> String {
    match kind {
        "string" | "boolean" | "null" => kind.to_owned(),
        "integer" | "number" => "number".to_owned(),
        "array" => schema.get("items").map_or("unknown[]".to_owned(), |items| {
            let item = type_of(items);
            if item.contains(' ') {
                format!("({item})[]")
            } else {
                format!("{item}[]")
            }
        }),
        _ => "Record<string, unknown>".to_owned(),
    }
}

fn union(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn object_has_its_required_fields_first_and_no_null_in_the_others() {
        let schema = json!({
            "type": "object",
            "description": "Something.",
            "required": ["type", "items"],
            "properties": {
                "after": {"type": ["string", "null"]},
                "at": {"oneOf": [{"$ref": "#/$defs/Timestamp"}, {"type": "null"}], "description": "Time of it."},
                "by": {"anyOf": [{"$ref": "#/$defs/UserId"}, {"type": "null"}]},
                "items": {"type": "array", "items": {"type": ["string", "integer"]}},
                "type": {"type": "string", "enum": ["a", "b"]},
            },
        });
        let expected = "/** Something. */\nexport type Thing = {\n  type: \"a\" | \"b\";\n  items: (string | number)[];\n  \
                        after?: string;\n  /** Time of it. */\n  at?: Timestamp | null;\n  by?: UserId;\n};\n";
        assert_eq!(declare("Thing", &schema), expected);
    }
}
