//! Failure of the test kit: ends the test with a sentence.

use std::fmt::Display;

/// Ends the test with the failed step and its cause.
#[track_caller]
#[expect(clippy::panic, reason = "a test kit fails the test by panicking")]
pub(crate) fn fail(what: &str, why: impl Display) -> ! {
    panic!("testkit could not {what}: {why}")
}

/// Returns the value, or fails the test with the name of the step.
pub(crate) trait OrFail<T> {
    /// `what` completes "testkit could not ...".
    fn or_fail(self, what: &str) -> T;
}

impl<T, E: Display> OrFail<T> for Result<T, E> {
    #[track_caller]
    fn or_fail(self, what: &str) -> T {
        match self {
            Ok(value) => value,
            Err(error) => fail(what, error),
        }
    }
}

impl<T> OrFail<T> for Option<T> {
    #[track_caller]
    fn or_fail(self, what: &str) -> T {
        match self {
            Some(value) => value,
            None => fail(what, "there is none"),
        }
    }
}
