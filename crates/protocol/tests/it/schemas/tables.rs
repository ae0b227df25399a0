//! Fields in the tables of docs/protocol.md, checked against the schemas.

use std::collections::BTreeMap;

use protocol::schema::{Catalogue, PUSHED_ANSWERS};
use serde_json::Value;

const PAGE: &str = include_str!("../../../../../docs/protocol.md");

#[test]
fn documented_fields_of_commands_and_answers_are_those_of_the_schemas() {
    let catalogue = Catalogue::new();
    let rows = rows("| event | data | answer |");
    assert_eq!(rows.len(), catalogue.commands.len());
    for (row, command) in rows.iter().zip(&catalogue.commands) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let answer = cells[3].split_once(' ').map_or("", |(_, fields)| fields);
        let answer = answer.strip_prefix('{').and_then(|fields| fields.strip_suffix('}'));
        assert_described(&catalogue, row, cells[2], &command.data);
        assert_described(&catalogue, row, answer.unwrap_or_default(), &command.success);
    }
}

#[test]
fn documented_fields_of_events_are_those_of_the_schemas() {
    let catalogue = Catalogue::new();
    let pushed = catalogue
        .commands
        .iter()
        .filter(|command| PUSHED_ANSWERS.contains(&command.kind));
    let pushed = pushed.map(|command| (command.kind.response_event(), &command.success));
    let events = catalogue.events.iter().chain(&catalogue.notices);
    let schemas: BTreeMap<_, _> = events.map(|event| (event.name, &event.data)).chain(pushed).collect();
    let rows = rows("| event | data |");
    for row in &rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let schema = schemas.get(cells[1].trim_matches('`'));
        let schema = schema.unwrap_or_else(|| panic!("{row}: no such event"));
        assert_described(&catalogue, row, cells[2], schema);
    }
    for event in schemas.keys().filter(|event| **event != "account:connect_response") {
        let is_documented = rows.iter().any(|row| row.starts_with(&format!("| `{event}` |")));
        assert!(is_documented, "{event} has no row");
    }
}

/// Rows of the table with exactly this head. A link to a section stands for the fields that it describes.
fn rows(head: &str) -> Vec<String> {
    let lines = PAGE.lines().skip_while(|line| *line != head);
    let rows = lines.skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        row.replace(
            "[ends](#ends-of-a-session)",
            "expiresAt, sessionExpiresAt, tokenExpiresAt?",
        )
    })
    .collect()
}

/// Asserts that a text names all fields of a schema, with `?` after those that may be absent.
fn assert_described(catalogue: &Catalogue, row: &str, text: &str, schema: &Value) {
    let schema = resolved(catalogue, schema);
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
    let properties = schema["properties"].as_object();
    let properties = properties.into_iter().flatten().map(|(name, schema)| {
        let is_optional = !required.iter().any(|required| *required == name);
        (name.as_str(), (is_optional, schema))
    });
    let mut expected: BTreeMap<_, _> = properties.collect();
    // Every answer has `success`; `userId` is the token's wherever it may be absent.
    expected.remove("success");
    if expected.get("userId").is_some_and(|(is_optional, _)| *is_optional) {
        expected.remove("userId");
    }
    let documented = fields(text);
    let documented: Vec<_> = documented.into_iter().filter(|field| field.name != "success").collect();
    let names: BTreeMap<_, _> = documented.iter().map(|field| (field.name, field.is_optional)).collect();
    let expected_names: BTreeMap<_, _> = expected
        .iter()
        .map(|(name, (optional, _))| (*name, *optional))
        .collect();
    assert_eq!(names, expected_names, "{row}");
    for field in documented {
        if let (Some(inner), Some((_, schema))) = (field.inner, expected.get(field.name)) {
            assert_described(catalogue, row, inner, schema);
        }
    }
}

/// Schema of an object behind references, choices with null, and arrays.
fn resolved<'a>(catalogue: &'a Catalogue, schema: &'a Value) -> &'a Value {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return resolved(catalogue, &catalogue.definitions[name]);
    }
    if let Some(choice) = schema["anyOf"].get(0) {
        return resolved(catalogue, choice);
    }
    schema.get("items").map_or(schema, |items| resolved(catalogue, items))
}

/// Field of a table's cell.
struct Field<'a> {
    name: &'a str,
    is_optional: bool,
    /// Text between the braces after it.
    inner: Option<&'a str>,
}

/// Fields of a text such as `userId, settings {method?}, reason?: why`.
fn fields(text: &str) -> Vec<Field<'_>> {
    let mut depth = 0_i32;
    let parts = text.split(|character| {
        depth += match character {
            '{' | '(' => 1,
            '}' | ')' => -1,
            _ => 0,
        };
        character == ',' && depth == 0
    });
    parts.filter_map(|part| field(part.trim())).collect()
}

fn field(part: &str) -> Option<Field<'_>> {
    let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
    let (name, rest) = part.split_at(end);
    let (is_optional, rest) = rest.strip_prefix('?').map_or((false, rest), |rest| (true, rest));
    let rest = rest.trim_start();
    let is_field = !name.is_empty() && (rest.is_empty() || rest.starts_with(['{', '(', ':']));
    let braced = rest.trim_start_matches(':').trim_start().strip_prefix('{');
    is_field.then(|| Field {
        name,
        is_optional,
        inner: braced.and_then(|inner| inner.rsplit_once('}')).map(|(inner, _)| inner),
    })
}
