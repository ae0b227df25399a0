//! JSON text that is passed on unread, and lenient reading of untrusted JSON.

pub mod lenient;

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// Well-formed JSON text. Events and answers are serialized once, where they arise, and passed from the worker through Redis to
/// the socket as text.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Serializes a value of Postern.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "our types have string keys only and no Serialize of theirs fails"
    )]
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        Self(serde_json::value::to_raw_value(value).expect("our own types are writable as JSON"))
    }

    /// Checks a text.
    ///
    /// # Errors
    /// When the text is not well formed.
    pub fn parse(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(Self)
    }

    /// Text of the JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Text of the JSON, without a copy.
    #[must_use]
    pub fn into_text(self) -> String {
        Box::<str>::from(self.0).into()
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
    /// Writes the text unchanged into JSON, and its values into a binary format (MessagePack). There, a text that `serde_json`
    /// does not read back (deeper than 128, a lone surrogate, a number beyond `f64`) is null.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        self.read::<Value>().unwrap_or_default().serialize(serializer)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Payloads may hold secrets of their user: logs get the size only.
        write!(f, "Json({} bytes)", self.as_str().len())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}
