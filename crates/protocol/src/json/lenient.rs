//! Lenient reading of untrusted JSON: of clients, an application's servers, platforms.
//!
//! Every well-formed text is read; a value that a field cannot take is refused by the name of the field.

mod repair;
#[cfg(test)]
mod tests;
mod typed;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Error, Value};

use self::repair::repaired;
use self::typed::Lenient;

/// Deepest nesting of arrays and objects that is read. `serde_json` reads no deeper.
pub const MAX_DEPTH: usize = 127;

/// Reads one JSON text and nothing after it. Every text that is well formed (RFC 8259) is read: a lone surrogate is U+FFFD, a
/// number beyond `f64` is 1e308 with its sign, and an array or object nested deeper than [`MAX_DEPTH`] is null. Of a repeated
/// key the last one counts.
///
/// # Errors
/// When the text is not well formed.
pub fn parse(json: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(json).or_else(|_refused| {
        serde_json::from_slice::<IgnoredAny>(json)?;
        serde_json::from_slice(&repaired(json))
    })
}

/// Reads a value as a `T`. Where a number is expected, an integer may be written as a float (`45.0`), and any number as a text
/// (`"45"`). A text with NUL, which Postgres does not take, is refused. Fields that `T` does not have may hold anything.
///
/// # Errors
/// When the value has another shape; the error knows the field.
pub fn read<T: DeserializeOwned>(value: Value) -> Result<T, serde_path_to_error::Error<Error>> {
    serde_path_to_error::deserialize(Lenient(value))
}
