//! Lua scripts with their SHA-1 digests.

use std::borrow::Cow;

use fred::util::sha1_hash;

/// Lua script. Its text is sent when the server does not know it yet, and only its digest from then on (EVALSHA).
#[derive(Debug)]
pub(in crate::redis) struct Script {
    text: Cow<'static, str>,
    hash: String,
}

impl Script {
    pub(in crate::redis) fn new(text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        Self {
            hash: sha1_hash(&text),
            text,
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn hash(&self) -> &str {
        &self.hash
    }
}
