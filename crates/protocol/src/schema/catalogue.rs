//! All messages of the sockets with their schemas, and the definitions that these refer to.

use schemars::generate::Contract;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::contract::{Contracted, DEFINITIONS, merge, referenced};
use crate::answer::Failure;
use crate::code::{CloseCode, ErrorCode, TokenFault};
use crate::command::{CommandKind, FailureFields};
use crate::event::{Event, Notice};
use crate::id::EventId;
use crate::wire::auth::Auth;
use crate::wire::ready::Ready;
use crate::wire::socketio::RefusalData;

/// Schemas of the wire contract. References point to [`Catalogue::definitions`].
#[derive(Debug)]
pub struct Catalogue {
    /// Definitions of all types, by name.
    pub definitions: Map<String, Value>,
    /// Events of the event log.
    pub events: Vec<MessageSchema>,
    /// Events to one socket or session.
    pub notices: Vec<MessageSchema>,
    /// Commands and their answers, in the order of docs/protocol.md.
    pub commands: Vec<CommandSchemas>,
}

/// Event with the schema of its payload.
#[derive(Debug)]
pub struct MessageSchema {
    /// Name on the wire.
    pub name: &'static str,
    /// Schema of the payload.
    pub data: Value,
}

/// Command with the schemas of its payload and of its answers.
#[derive(Debug)]
pub struct CommandSchemas {
    /// The command.
    pub kind: CommandKind,
    /// Schema of the payload.
    pub data: Value,
    /// Schema of the answer of a success.
    pub success: Value,
    /// Schema of the answer of a failure.
    pub failure: Value,
}

impl CommandSchemas {
    /// Schema of the answer, success or failure.
    #[must_use]
    pub fn answer(&self) -> Value {
        json!({"oneOf": [self.success, self.failure]})
    }
}

/// Commands whose answer is also sent without one: after a warning, and after a browser has returned to the hosted callback.
pub const PUSHED_ANSWERS: [CommandKind; 2] = [CommandKind::Connect, CommandKind::ExtendSession];

/// Reference to a definition.
#[must_use]
pub fn reference_to(name: &str) -> Value {
    json!({"$ref": format!("{DEFINITIONS}{name}")})
}

impl Catalogue {
    /// Schemas of all messages.
    #[must_use]
    pub fn new() -> Self {
        let mut written = Contracted::new(Contract::Serialize);
        let events = messages(&mut written, Event::schemas);
        let notices = messages(&mut written, Notice::schemas);
        written.add::<CloseCode>();
        written.add::<ErrorCode>();
        written.add::<EventId>();
        written.add::<Ready>();
        written.add::<RefusalData>();
        written.add::<TokenFault>();
        written.add::<Failure>();
        let answers = CommandKind::ALL.map(|kind| written.schema(|generator| kind.answer_schema(generator)));
        let mut read = Contracted::new(Contract::Deserialize);
        read.add::<Auth>();
        let payloads = CommandKind::ALL.map(|kind| read.schema(|generator| kind.data_schema(generator)));

        let mut definitions = written.definitions();
        mark(&mut definitions, "Failure", false);
        for answer in &answers {
            mark(&mut definitions, referenced(answer).unwrap_or_default(), true);
        }
        let mut payloads = payloads.to_vec();
        merge(&mut definitions, read.definitions(), &mut payloads);
        for (name, schema) in frame_parts() {
            definitions.insert(name.to_owned(), schema);
        }
        let commands = CommandKind::ALL.into_iter().zip(payloads).zip(answers);
        Self {
            definitions,
            events,
            notices,
            commands: commands
                .map(|((kind, data), success)| CommandSchemas {
                    kind,
                    data,
                    success,
                    failure: failure(kind),
                })
                .collect(),
        }
    }
}

impl Catalogue {
    /// Description of the type that a schema refers to.
    #[must_use]
    pub fn summary(&self, schema: &Value) -> &str {
        let definition = referenced(schema).and_then(|name| self.definitions.get(name));
        let description = definition.and_then(|definition| definition.get("description"));
        description.and_then(Value::as_str).unwrap_or_default()
    }

    /// Reports whether the type that a schema refers to has fields that must be present.
    #[must_use]
    pub fn requires_fields(&self, schema: &Value) -> bool {
        let definition = referenced(schema).and_then(|name| self.definitions.get(name));
        definition.is_some_and(|definition| definition.get("required").is_some())
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::new()
    }
}

fn messages(
    written: &mut Contracted,
    of: fn(&mut SchemaGenerator) -> Vec<(&'static str, Schema)>,
) -> Vec<MessageSchema> {
    let messages = written.schemas(of).into_iter();
    messages.map(|(name, data)| MessageSchema { name, data }).collect()
}

/// Adds the field `success` to an answer.
fn mark(definitions: &mut Map<String, Value>, name: &str, success: bool) {
    let Some(Value::Object(answer)) = definitions.get_mut(name) else {
        return;
    };
    let mut required = vec![Value::from("success")];
    if let Some(Value::Array(names)) = answer.remove("required") {
        required.extend(names);
    }
    answer.insert("required".to_owned(), required.into());
    let properties = answer.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        properties.insert("success".to_owned(), json!({"type": "boolean", "const": success}));
    }
}

/// Failure of a command, with the field that it shares with the success.
fn failure(kind: CommandKind) -> Value {
    let failure = reference_to("Failure");
    let field = match kind.policy().failure_fields {
        // Absent where the command named none.
        FailureFields::Common | FailureFields::AccountType => return failure,
        FailureFields::LastSynced => "lastSynced",
        FailureFields::AccountsDisconnected => "accountsDisconnected",
    };
    json!({"allOf": [failure], "required": [field]})
}

/// Definitions of parts of frames, which have no type of their own.
fn frame_parts() -> [(&'static str, Value); 3] {
    let options = json!({
        "type": "object",
        "description": "Fields that any command may carry.",
        "properties": {
            "idempotencyKey": {
                "type": ["string", "null"],
                "description": "Key of the command: the same key with the same body gets the first result.",
                "minLength": 1,
                "maxLength": 128,
            },
            "traceparent": {
                "description": "W3C Trace Context, version 00. Any other value counts as none.",
            },
        },
    });
    let offset = json!({
        "type": "string",
        "description": "Offset in the user's event log: `<epoch>-<seq>`.",
        "pattern": "^[0-9a-f]{1,32}-[0-9]+$",
    });
    let request_id = json!({
        "type": ["string", "number"],
        "description": "Id that the client gives its request; the answer repeats it.",
    });
    [
        ("CommandOptions", options),
        ("Offset", offset),
        ("RequestId", request_id),
    ]
}
