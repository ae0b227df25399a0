//! Frames of the AsyncAPI document, against the examples of docs/events.md.

use std::collections::BTreeSet;

use boon::{Compiler, Draft, Schemas};
use protocol::command::CommandKind;
use protocol::event::{Event, Notice};
use serde_json::{Value, json};

use crate::document;

const PAGE: &str = include_str!("../../../../docs/events.md");

#[test]
fn every_example_of_the_documentation_is_a_frame_of_the_native_channel() {
    let validator = Validator::new();
    let mut shown = BTreeSet::new();
    for example in examples() {
        let event = example["event"].as_str().unwrap().to_owned();
        validator
            .check(&event, &example)
            .unwrap_or_else(|error| panic!("{example}\n{error}"));
        shown.insert(event);
    }
    let commands = CommandKind::ALL
        .into_iter()
        .flat_map(|kind| [kind.event(), kind.response_event()]);
    let all = commands.chain(Event::NAMES.iter().chain(Notice::NAMES).copied());
    assert!(all.into_iter().all(|event| shown.contains(event)));
}

#[test]
fn frame_without_its_parts_or_with_another_name_is_invalid() {
    let validator = Validator::new();
    for example in examples() {
        let event = example["event"].as_str().unwrap();
        let mut other = example.clone();
        other["event"] = json!("other");
        assert!(validator.check(event, &other).is_err(), "{other}");
        if Event::NAMES.contains(&event) {
            for part in ["data", "offset", "eventId"] {
                let mut without = example.clone();
                without.as_object_mut().unwrap().remove(part);
                assert!(validator.check(event, &without).is_err(), "{without}");
            }
        }
    }
}

/// JSON blocks of the page.
fn examples() -> impl Iterator<Item = Value> {
    let blocks = PAGE.split("```json\n").skip(1);
    blocks.map(|block| serde_json::from_str(block.split("```").next().unwrap()).unwrap())
}

/// Frames of the native channel, in the draft of JSON Schema that AsyncAPI takes.
struct Validator(Value);

impl Validator {
    fn new() -> Self {
        Self(document("asyncapi.json"))
    }

    fn check(&self, event: &str, frame: &Value) -> Result<(), String> {
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V7);
        compiler.add_resource(DOCUMENT, self.0.clone()).unwrap();
        let mut schemas = Schemas::new();
        let key = event.replace(':', ".");
        let payload = format!("{DOCUMENT}#/channels/native/messages/{key}/payload");
        let index = compiler.compile(&payload, &mut schemas);
        let index = index.unwrap_or_else(|error| panic!("{event}: {error:#}"));
        schemas.validate(frame, index).map_err(|error| format!("{error:#}"))
    }
}

const DOCUMENT: &str = "https://postern.invalid/asyncapi.json";
