//! A Lua script and the name under which the server knows it.

use std::borrow::Cow;

use fred::util::sha1_hash;

/// A script of ours. It is sent once, when the server does not know it yet, and named by its hash from then on.
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
