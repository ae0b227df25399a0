//! Why a command was not answered.

use crate::BusError;

/// What stands behind a [`BusError::Unavailable`]. fred's own errors name the kind and repeat the server's words, which hold neither
/// our keys nor our values.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The last beat was not answered: nothing was sent.
    #[error("Redis does not answer")]
    Down(
        /// The server's refusal of the connection, where it is that.
        #[source]
        Option<fred::error::Error>,
    ),
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
        BusError::Unavailable {
            step,
            source: Box::new(self),
        }
    }
}

/// The code of an error reply of the server, `NOPERM`, `MOVED`, `ERR`; none of a failure of the connection.
pub(super) fn refusal(error: &fred::error::Error) -> Option<&str> {
    let code = error.details().split(' ').next().unwrap_or_default();
    (code.len() > 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(code)
}

#[cfg(test)]
mod tests {
    use fred::error::{Error, ErrorKind};

    use super::*;

    #[test]
    fn replies_of_the_server_are_refusals_and_failures_of_fred_are_none() {
        for (reply, code) in [
            ("NOPERM No permissions to access a channel", "NOPERM"),
            ("MOVED 3999 127.0.0.1:6381", "MOVED"),
            ("CLUSTERDOWN Hash slot not served", "CLUSTERDOWN"),
            ("ERR unknown command", "ERR"),
        ] {
            assert_eq!(refusal(&Error::new(ErrorKind::Unknown, reply)), Some(code));
        }
        for failure in ["Connection closed.", "Request timed out.", "IO error", "", "A b"] {
            assert_eq!(refusal(&Error::new(ErrorKind::Unknown, failure)), None, "{failure}");
        }
    }
}
