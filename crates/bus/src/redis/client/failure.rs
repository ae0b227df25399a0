//! Why a command was not answered.

use crate::BusError;

/// What stands behind a [`BusError::Away`]. fred's own errors name the kind and repeat the server's words, which hold neither
/// our keys nor our values.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The last beat was not answered: nothing was sent.
    #[error("Redis does not answer")]
    Down,
    /// Our clock is wrong, or the server's: what is decided by the time of day is better left to others.
    #[error("the clocks of Redis and this node are too far apart")]
    Skewed,
    /// Too many commands are under way: nothing was sent.
    #[error("too many commands wait for Redis")]
    Busy,
    /// The server has not confirmed in time.
    #[error("Redis has not confirmed in time")]
    Unconfirmed,
    /// It was sent, perhaps.
    #[error(transparent)]
    Fred(#[from] fred::error::Error),
}

impl Failure {
    /// The error for those who asked.
    pub(super) fn at(self, step: &'static str) -> BusError {
        BusError::Away {
            step,
            source: Box::new(self),
        }
    }
}
