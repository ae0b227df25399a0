//! Channel of one dialect.

use protocol::code::CloseCode;
use protocol::command::CommandKind;
use serde_json::{Map, Value, json};

/// Channel with its messages and operations.
pub(super) struct Channel {
    pub(super) name: &'static str,
    pub(super) address: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    /// Bindings of the upgrade request.
    pub(super) bindings: Value,
    /// Messages by key.
    pub(super) messages: Map<String, Value>,
    pub(super) operations: Vec<Operation>,
}

/// Message that the gateway receives or sends.
pub(super) struct Operation {
    /// `receive` or `send`.
    pub(super) action: &'static str,
    pub(super) summary: String,
    /// Key of the message.
    pub(super) message: String,
    /// Keys of the answers.
    pub(super) replies: Vec<String>,
    /// Command of the message.
    pub(super) command: Option<CommandKind>,
}

/// Key of a message: keys of components have no colon.
pub(super) fn key(event: &str) -> String {
    event.replace(':', ".")
}

impl Channel {
    pub(super) fn value(&self) -> Value {
        let codes = CloseCode::ALL.map(|code| json!({"code": code.as_u16(), "reason": code.as_str()}));
        json!({
            "address": self.address,
            "title": self.title,
            "description": self.description,
            "messages": self.messages,
            "bindings": {"ws": self.bindings},
            "x-close-codes": codes,
        })
    }

    /// Adds a message.
    pub(super) fn message(&mut self, key: &str, name: &str, summary: &str, payload: Value) {
        let message = json!({"name": name, "title": name, "summary": summary, "payload": payload});
        self.messages.insert(key.to_owned(), message);
    }

    /// Adds an operation of a message that is sent.
    pub(super) fn sends(&mut self, key: &str, summary: &str) {
        self.operations.push(Operation {
            action: "send",
            summary: summary.to_owned(),
            message: key.to_owned(),
            replies: Vec::new(),
            command: None,
        });
    }

    /// Adds an operation of a message that is received and answered.
    pub(super) fn receives(&mut self, key: &str, summary: &str, replies: &[&str], command: Option<CommandKind>) {
        self.operations.push(Operation {
            action: "receive",
            summary: summary.to_owned(),
            message: key.to_owned(),
            replies: replies.iter().map(|reply| (*reply).to_owned()).collect(),
            command,
        });
    }
}
