//! Errors that can reach a client.

use std::error::Error;

use crate::code::ErrorCode;

/// Error with a code for the client. Message, retry and log level follow from the code ([`ErrorCode`]); the cause stays in
/// `source`, for the log alone.
pub trait Fault: Error {
    /// Code that the client receives.
    fn code(&self) -> ErrorCode;
}

/// Chain of causes as one line, for log fields: `store the link: pool is closed`.
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
