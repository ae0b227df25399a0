//! A finished piece of JSON text that is carried, not read; beside it, how JSON of others is read.

pub mod lenient;

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// JSON text, known to be well formed. Events and answers are written once, where they arise, and travel as this from the
/// worker through Redis to the socket.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Writes a value of ours as JSON.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "our types have string keys only and no Serialize of theirs fails"
    )]
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        Self(serde_json::value::to_raw_value(value).expect("our own types are writable as JSON"))
    }

    /// Takes a text that must be JSON.
    ///
    /// # Errors
    /// When it is not well formed.
    pub fn parse(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Reads the text as a value of `T`.
    ///
    /// # Errors
    /// When the text has another shape.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0.get())
    }
}

impl Serialize for Json {
    /// Inside JSON the text stands as it is; a binary format (MessagePack) gets the values it stands for. There, a text that
    /// `serde_json` would not read back (deeper than 128, a lone surrogate, a number beyond `f64`) is null.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        self.read::<Value>().unwrap_or_default().serialize(serializer)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Payloads may hold what only its user should see; logs get the size.
        write!(f, "Json({} bytes)", self.as_str().len())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}
