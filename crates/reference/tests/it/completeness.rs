//! Every event, command, answer and code has its place in every document.

use std::collections::BTreeSet;

use protocol::api::table::ROUTES;
use protocol::app_webhook::{AppWebhookType, TEST};
use protocol::command::CommandKind;
use protocol::event::{Event, Notice, name};
use protocol::http_routes;
use protocol::schema::PUSHED_ANSWERS;
use serde_json::{Value, json};

use crate::{document, text};

#[test]
fn asyncapi_has_an_operation_of_every_command_and_event_in_both_dialects() {
    let document = document("asyncapi.json");
    for channel in ["native", "socketio"] {
        let operations = |action: &str| -> BTreeSet<String> {
            let of_channel = format!("{channel}.{action}.");
            let operations = document["operations"].as_object().unwrap().keys();
            operations
                .filter_map(|name| name.strip_prefix(&of_channel).map(str::to_owned))
                .collect()
        };
        let commands = CommandKind::ALL.map(|kind| kind.event().replace(':', "."));
        let connects = if channel == "native" { name::AUTH } else { "CONNECT" };
        let expected: BTreeSet<_> = commands.into_iter().chain([connects.to_owned()]).collect();
        assert_eq!(operations("receive"), expected, "{channel}");

        let events = Event::NAMES.iter().chain(Notice::NAMES).copied();
        let events = events.chain(PUSHED_ANSWERS.map(CommandKind::response_event));
        let mut expected: BTreeSet<_> = events.map(|event| event.replace(':', ".")).collect();
        if channel == "native" {
            expected.insert("batch".to_owned());
        } else {
            // Socket.IO has no such message.
            expected.remove(name::RESYNC);
        }
        assert_eq!(operations("send"), expected, "{channel}");
    }
}

#[test]
fn asyncapi_answers_every_command_with_its_response_event() {
    let document = document("asyncapi.json");
    for kind in CommandKind::ALL {
        let (command, response) = (kind.event().replace(':', "."), kind.response_event().replace(':', "."));
        for channel in ["native", "socketio"] {
            let replies = &document["operations"][format!("{channel}.receive.{command}")]["reply"]["messages"];
            let expected = json!({"$ref": format!("#/channels/{channel}/messages/{response}")});
            assert!(
                replies.as_array().unwrap().contains(&expected),
                "{channel} {command}: {replies}"
            );
            assert!(
                document["channels"][channel]["messages"].get(&response).is_some(),
                "{channel} {response}"
            );
        }
    }
}

#[test]
fn openapi_has_an_operation_of_every_route() {
    let document = document("openapi.json");
    let mut expected = BTreeSet::new();
    for route in ROUTES {
        let operation = &document["paths"][route.path][route.method.to_lowercase()];
        assert_eq!(
            operation["operationId"], route.operation_id,
            "{} {}",
            route.method, route.path
        );
        assert_eq!(
            operation["security"],
            json!([{"internalToken": [route.scope.as_str()]}])
        );
        assert!(
            operation["responses"].get(route.response.status.to_string()).is_some(),
            "{operation}"
        );
        assert_eq!(
            operation.get("requestBody").is_some(),
            route.request.is_some(),
            "{operation}"
        );
        expected.insert(format!("{} {}", route.method, route.path));
    }
    for (method, path) in http_routes::PUBLIC {
        expected.insert(format!("{method} {path}"));
    }
    expected.extend(http_routes::HEALTH.map(|path| format!("GET {path}")));
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys().filter(|key| *key != "servers");
        documented.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    assert_eq!(documented, expected);
}

#[test]
fn openapi_has_every_webhook_to_the_application() {
    let document = document("openapi.json");
    let documented: BTreeSet<_> = document["webhooks"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let types = AppWebhookType::ALL.map(AppWebhookType::as_str);
    assert_eq!(documented, types.into_iter().chain([TEST]).collect());
    for kind in AppWebhookType::ALL {
        let body = document["webhooks"][kind.as_str()]["post"]["requestBody"]["content"]["application/json"].clone();
        assert!(body["schema"]["properties"]["data"].get("$ref").is_some() || kind.event() == name::SESSION_EXPIRED);
    }
}

#[test]
fn every_event_command_answer_and_code_has_a_schema_file() {
    let documents = reference::documents().unwrap();
    let index = document("schemas/index.json");
    let names = |kind: &str| -> BTreeSet<String> { index[kind].as_object().unwrap().keys().cloned().collect() };
    let set =
        |names: &mut dyn Iterator<Item = &'static str>| -> BTreeSet<String> { names.map(str::to_owned).collect() };
    let events = Event::NAMES.iter().chain(Notice::NAMES).copied();
    let mut events = events.chain(PUSHED_ANSWERS.map(CommandKind::response_event));
    assert_eq!(names("events"), set(&mut events));
    assert_eq!(
        names("commands"),
        set(&mut CommandKind::ALL.into_iter().map(CommandKind::event))
    );
    assert_eq!(
        names("answers"),
        set(&mut CommandKind::ALL.into_iter().map(CommandKind::response_event))
    );
    for path in index
        .as_object()
        .unwrap()
        .values()
        .flat_map(|paths| paths.as_object().unwrap().values())
    {
        let path = format!("schemas/{}", path.as_str().unwrap());
        assert!(documents.iter().any(|document| document.path == path), "{path}");
    }
}

#[test]
fn typescript_has_every_command_event_and_type() {
    let text = text("typescript/protocol.ts");
    for kind in CommandKind::ALL {
        assert!(
            text.contains(&format!("  {:?}: {{ data: ", kind.event())),
            "{}",
            kind.event()
        );
        let row = format!("  {:?}: {:?},", kind.event(), kind.response_event());
        assert!(text.contains(&row), "{row}");
    }
    for event in Event::NAMES.iter().chain(Notice::NAMES) {
        assert!(text.contains(&format!("  {event:?}: ")), "{event}");
    }
    for name in ["ErrorCode", "CloseCode", "TokenFault", "AlertType", "Timestamp"] {
        assert!(text.contains(&format!("export type {name} = ")), "{name}");
    }
    assert!(!text.contains(": any"), "no type is any");
}

#[test]
fn documents_are_the_same_each_time() {
    assert_eq!(reference::documents().unwrap(), reference::documents().unwrap());
}

#[test]
fn every_reference_of_a_schema_file_leads_into_the_file() {
    for document in reference::documents()
        .unwrap()
        .iter()
        .filter(|document| document.path.ends_with(".json"))
    {
        let root: Value = serde_json::from_str(&document.text).unwrap();
        assert_references(&root, &root, &document.path);
    }
}

fn assert_references(root: &Value, value: &Value, path: &str) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(root.pointer(pointer).is_some(), "{path}: {reference}");
            }
            fields.values().for_each(|value| assert_references(root, value, path));
        }
        Value::Array(items) => items.iter().for_each(|item| assert_references(root, item, path)),
        _ => {}
    }
}
