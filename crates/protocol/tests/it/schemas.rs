//! Schemas against the types: what Postern writes is valid and described in full, what it reads is what the schemas accept.

#![expect(
    clippy::indexing_slicing,
    reason = "a missing member of a document is a test that fails"
)]

mod tables;
mod validator;

use std::collections::BTreeSet;

use proptest::prelude::*;
use protocol::account::{AccountStatus, AccountType};
use protocol::code::{CloseCode, ErrorCode, TokenFault};
use protocol::command::{Command, CommandKind};
use protocol::event::{Event, Notice, name};
use protocol::json::Json;
use protocol::notification::NotificationType;
use protocol::schema::{ApiCatalogue, Catalogue};
use protocol::security::{AlertType, FactorMethod, MAX_SESSION_TIMEOUT, MIN_SESSION_TIMEOUT, SessionEnd, Severity};
use protocol::wire::auth::Auth;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::validator::Validator;
use crate::enumerations::variants;
use crate::{examples, strategy};

#[test]
fn enumerations_of_the_schemas_are_those_of_the_types() {
    let catalogue = Catalogue::new();
    fn assert_values<T: std::fmt::Debug + DeserializeOwned>(catalogue: &Catalogue, name: &str) {
        let schema = catalogue
            .definitions
            .get(name)
            .unwrap_or_else(|| panic!("{name} has no schema"));
        assert_eq!(schema["enum"], json!(variants::<T>()), "{name}");
        let described = schema["x-enumDescriptions"].as_object().unwrap().len();
        assert_eq!(described, variants::<T>().len(), "{name}");
    }
    assert_values::<AccountType>(&catalogue, "AccountType");
    assert_values::<AccountStatus>(&catalogue, "AccountStatus");
    assert_values::<AlertType>(&catalogue, "AlertType");
    assert_values::<ErrorCode>(&catalogue, "ErrorCode");
    assert_values::<FactorMethod>(&catalogue, "FactorMethod");
    assert_values::<NotificationType>(&catalogue, "NotificationType");
    assert_values::<SessionEnd>(&catalogue, "SessionEnd");
    assert_values::<Severity>(&catalogue, "Severity");
    assert_values::<TokenFault>(&catalogue, "TokenFault");
    let codes = CloseCode::ALL.map(CloseCode::as_u16);
    assert_eq!(catalogue.definitions["CloseCode"]["enum"], json!(codes));
}

#[test]
fn every_event_and_command_has_a_schema() {
    let catalogue = Catalogue::new();
    let names = |messages: &[protocol::schema::MessageSchema]| messages.iter().map(|m| m.name).collect::<Vec<_>>();
    assert_eq!(names(&catalogue.events), Event::NAMES);
    assert_eq!(names(&catalogue.notices), Notice::NAMES);
    let commands: Vec<_> = catalogue.commands.iter().map(|command| command.kind).collect();
    assert_eq!(commands, CommandKind::ALL);
}

#[test]
fn every_definition_and_field_is_described() {
    let catalogue = Catalogue::new();
    for (name, schema) in &catalogue.definitions {
        assert!(schema.get("description").is_some(), "{name}");
        let fields = schema.get("properties").and_then(Value::as_object);
        for (field, schema) in fields.into_iter().flatten().filter(|(field, _)| *field != "success") {
            assert!(schema.get("description").is_some(), "{name}.{field}");
        }
    }
}

#[test]
fn every_example_of_the_documentation_is_valid() {
    let validator = Validator::closed();
    for example in examples::examples() {
        let (event, data) = (example["event"].as_str().unwrap(), &example["data"]);
        let schemas = match event {
            name::AUTH => vec!["#Auth".to_owned()],
            name::READY => vec!["#Ready".to_owned()],
            _ => ["event", "command", "answer"]
                .map(|kind| format!("{kind} {event}"))
                .to_vec(),
        };
        let known: Vec<_> = schemas.iter().filter(|schema| validator.knows(schema)).collect();
        assert!(!known.is_empty(), "{event} has no schema");
        let refusals: Vec<_> = known
            .iter()
            .filter_map(|schema| validator.check(schema, data).err())
            .collect();
        assert!(refusals.len() < known.len(), "{example}\n{refusals:?}");
    }
}

#[test]
fn documented_fields_of_published_events_are_those_of_the_schema() {
    let catalogue = ApiCatalogue::new();
    let choices = catalogue.definitions["Publication"]["oneOf"].as_array().unwrap();
    let mut documented = BTreeSet::new();
    let mut described = BTreeSet::new();
    for row in examples::rows("event") {
        let is_required = row.contains("| yes |");
        documented.insert((examples::quoted(row, 0), examples::quoted(row, 1), is_required));
    }
    for choice in choices {
        let event = choice["properties"]["event"]["const"].as_str().unwrap();
        let data = &choice["properties"]["data"];
        let required = data["required"].as_array().unwrap();
        for field in data["properties"].as_object().unwrap().keys() {
            described.insert((event, field.as_str(), required.iter().any(|name| name == field)));
        }
    }
    assert_eq!(documented, described);
}

#[test]
fn payload_is_valid_exactly_if_the_server_accepts_it() {
    let validator = Validator::open();
    for kind in CommandKind::ALL {
        let full = full_payload(kind);
        assert!(accepted(kind, &full), "{full}");
        for data in std::iter::once(full.clone()).chain(variations(&full)) {
            let valid = validator.check(&format!("command {}", kind.event()), &data);
            assert_eq!(
                valid.is_ok(),
                accepted(kind, &data),
                "{}: {data}\n{valid:?}",
                kind.event()
            );
        }
    }
}

#[test]
fn auth_is_valid_exactly_if_the_server_accepts_it() {
    let validator = Validator::open();
    let full = json!({
        "token": "t", "deviceId": "d", "deviceName": "n", "batching": true, "recovery": false,
        "resume": {"resumeToken": "r", "offset": "0badcafe-7"},
    });
    assert!(Auth::of_native(&full).is_ok());
    for data in std::iter::once(full.clone()).chain(variations(&full)) {
        let valid = validator.check("#Auth", &data);
        assert_eq!(valid.is_ok(), Auth::of_native(&data).is_ok(), "{data}\n{valid:?}");
    }
}

#[test]
fn every_event_and_notice_is_valid_and_has_no_further_field() {
    let validator = Validator::closed();
    proptest!(|(event in strategy::event())| {
        validator.assert(&format!("event {}", event.name()), &parsed(&event.data()));
    });
    proptest!(|(notice in strategy::notice())| {
        validator.assert(&format!("event {}", notice.name()), &parsed(&notice.data()));
    });
}

#[test]
fn every_answer_is_valid_and_has_no_further_field() {
    let validator = Validator::closed();
    proptest!(|(answer in strategy::answer())| {
        validator.assert(&format!("answer {}", answer.kind().response_event()), &parsed(&answer.data()));
    });
    proptest!(|(failure in strategy::failure(), kind in proptest::sample::select(&CommandKind::ALL))| {
        let failure = kind.failure(failure, &json!({}));
        validator.assert(&format!("answer {}", kind.response_event()), &parsed(&failure.data()));
    });
}

#[test]
fn generated_command_is_valid_exactly_if_the_server_accepts_it() {
    let validator = Validator::open();
    proptest!(|(command in strategy::command())| {
        let data = serde_json::to_value(&command).unwrap()["data"].clone();
        let valid = validator.check(&format!("command {}", command.kind().event()), &data);
        prop_assert_eq!(valid.is_ok(), accepted(command.kind(), &data), "{}\n{:?}", data, valid);
    });
}

fn parsed(data: &Json) -> Value {
    serde_json::from_str(data.as_str()).unwrap()
}

/// Reports whether the server accepts a payload: the gateway reads it, and the worker finds its values in their ranges.
fn accepted(kind: CommandKind, data: &Value) -> bool {
    match Command::parse(kind, data.clone()) {
        Ok(Command::UpdateSettings(change)) => {
            let timeout = change.settings.session_timeout;
            timeout.is_none_or(|minutes| (MIN_SESSION_TIMEOUT..=MAX_SESSION_TIMEOUT).contains(&minutes))
        }
        Ok(Command::RequestConfirmation(request)) => request.action == CommandKind::RevokeAll.event(),
        Ok(_) => true,
        Err(_) => false,
    }
}

/// Payload with every field of the command.
fn full_payload(kind: CommandKind) -> Value {
    let values = json!({
        "userId": "u", "accountType": "github", "oauthCode": "c", "redirectUri": "https://app/cb", "state": "s",
        "codeVerifier": "v", "sessionId": "s", "token": "t", "action": "security:revoke_all", "confirmationToken": "t",
        "settings": {"sessionTimeout": 30, "twoFactorEnabled": true, "method": "totp", "address": "a@example.com"},
        "alertId": "a", "after": "b",
    });
    let catalogue = Catalogue::new();
    let command = catalogue.commands.iter().find(|command| command.kind == kind).unwrap();
    let name = command.data["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
    let fields = catalogue.definitions[name]["properties"].as_object().unwrap();
    fields
        .keys()
        .map(|field| (field.clone(), values[field].clone()))
        .collect()
}

/// The value with each field, at any depth, removed or replaced.
fn variations(full: &Value) -> Vec<Value> {
    let replacements = [
        json!(null),
        json!(true),
        json!([]),
        json!({}),
        json!(""),
        json!("x\0"),
        json!("\u{e9}"),
        json!("x".repeat(128)),
        json!("x".repeat(129)),
        json!("x".repeat(256)),
        json!("x".repeat(257)),
        json!("x".repeat(2_048)),
        json!("x".repeat(2_049)),
        json!("x".repeat(4_096)),
        json!("x".repeat(4_097)),
        json!(-1),
        json!(1.5),
        json!(1_440),
        json!(1_441),
        json!(0),
    ];
    let mut all = Vec::new();
    for (field, value) in full.as_object().unwrap() {
        let mut without = full.clone();
        without.as_object_mut().unwrap().remove(field);
        all.push(without);
        let inner = if value.is_object() {
            variations(value)
        } else {
            Vec::new()
        };
        // serde reads a struct also from the list of its fields, which no schema describes.
        let is_read = |replacement: &&Value| !(value.is_object() && replacement.is_array());
        for replacement in replacements.iter().filter(is_read).cloned().chain(inner) {
            let mut replaced = full.clone();
            replaced[field] = replacement;
            all.push(replaced);
        }
    }
    all
}
