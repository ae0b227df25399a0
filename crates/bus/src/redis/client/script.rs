//! Lua scripts with their SHA-1 digests.

use std::borrow::Cow;

use fred::util::sha1_hash;

use crate::operation::Operation;

/// Lua script. Its text is sent when the server does not know it yet, and only its digest from then on (EVALSHA).
#[derive(Debug)]
pub(in crate::redis) struct Script {
    operation: Operation,
    text: Cow<'static, str>,
    hash: String,
}

impl Script {
    pub(in crate::redis) fn new(operation: Operation, text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        Self {
            operation,
            hash: sha1_hash(&text),
            text,
        }
    }

    /// Name of its file.
    pub(in crate::redis) fn name(&self) -> &'static str {
        self.operation.name()
    }

    pub(super) fn operation(&self) -> Operation {
        self.operation
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn hash(&self) -> &str {
        &self.hash
    }
}
