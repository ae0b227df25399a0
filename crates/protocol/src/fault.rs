//! What every error that can reach a client answers: its code.

use std::error::Error;

use crate::code::ErrorCode;

/// An error that knows what the client is told. Sentence, retry and log level follow from the code ([`ErrorCode`]); the
/// cause stays in `source`, for the log alone.
pub trait Fault: Error {
    /// The code the client gets.
    fn code(&self) -> ErrorCode;
}

/// The chain of causes as one line, each said once: `store the link: pool is closed`. For log fields.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
