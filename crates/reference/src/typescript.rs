//! TypeScript types of the messages of the sockets, from their schemas.

mod declaration;

use protocol::command::CommandKind;
use protocol::schema::{Catalogue, CommandSchemas, PUSHED_ANSWERS, reference_to};
use serde_json::{Map, Value, json};

pub(crate) use self::declaration::type_of;
use self::declaration::{comment, declare};
use crate::document::Document;
use crate::schemas::collect;

/// `typescript/protocol.ts`: types alone, and the names of the answers.
pub(crate) fn document(catalogue: &Catalogue) -> Document {
    let mut text = format!(
        "/**\n * Wire contract of Postern {}: every event, command, answer and code.\n * Written by `cargo xtask export` from the types of the server.\n */\n",
        crate::VERSION
    );
    for (name, schema) in &types(catalogue) {
        text.push('\n');
        text.push_str(&declare(name, schema));
    }
    text.push_str(&server_events(catalogue));
    text.push_str(&commands(catalogue));
    text.push_str(&responses());
    Document {
        path: "typescript/protocol.ts".to_owned(),
        text,
    }
}

/// Definitions that the messages refer to.
fn types(catalogue: &Catalogue) -> Map<String, Value> {
    let mut types = Map::new();
    let events = catalogue
        .events
        .iter()
        .chain(&catalogue.notices)
        .map(|event| &event.data);
    let commands = catalogue
        .commands
        .iter()
        .flat_map(|command| [&command.data, &command.success]);
    let others = ["Auth", "CloseCode", "Failure", "Ready", "RefusalData"].map(reference_to);
    for schema in events.chain(commands).chain(&others) {
        collect(&catalogue.definitions, schema, &mut types);
    }
    types
}

fn server_events(catalogue: &Catalogue) -> String {
    let mut text = format!(
        "\n{}export interface ServerEvents {{\n",
        comment("Payload of every event that a gateway sends by itself.", "")
    );
    let events = catalogue.events.iter().chain(&catalogue.notices);
    for event in events {
        line(&mut text, &format!("  {:?}: {};", event.name, type_of(&event.data)));
    }
    for command in catalogue
        .commands
        .iter()
        .filter(|command| PUSHED_ANSWERS.contains(&command.kind))
    {
        let event = command.kind.response_event();
        line(&mut text, &format!("  {event:?}: {};", pushed(command)));
    }
    text.push_str("}\n");
    text
}

/// Type of an answer that is sent without a command. A renewed session is no failure.
fn pushed(command: &CommandSchemas) -> String {
    let success = type_of(&command.success);
    if command.kind == CommandKind::Connect {
        format!("{success} | Failure")
    } else {
        success
    }
}

fn commands(catalogue: &Catalogue) -> String {
    let mut text = format!(
        "\n{}export interface Commands {{\n",
        comment("Payload and successful answer of every command.", "")
    );
    for command in &catalogue.commands {
        text.push_str(&comment(command.kind.summary(), "  "));
        let (data, answer) = (type_of(&command.data), type_of(&command.success));
        line(
            &mut text,
            &format!("  {:?}: {{ data: {data}; answer: {answer} }};", command.kind.event()),
        );
    }
    text.push_str("}\n");
    text
}

fn responses() -> String {
    let mut text = format!(
        "\n{}export const RESPONSES: Readonly<Record<keyof Commands, string>> = {{\n",
        comment("Event of the answer to each command.", "")
    );
    for kind in CommandKind::ALL {
        line(
            &mut text,
            &format!("  {}: {},", json!(kind.event()), json!(kind.response_event())),
        );
    }
    text.push_str("};\n");
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
