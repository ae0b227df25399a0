//! Causes of failed commands.

use crate::BusError;

/// Cause of a [`BusError::Unavailable`]. fred's errors give their kind and quote the server's error reply, which holds neither
/// keys nor values of ours.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandFailure {
    /// The last heartbeat was not answered: nothing was sent.
    #[error("redis unreachable")]
    Unreachable(
        /// The server's refusal of the connection, if it sent one.
        #[source]
        Option<fred::error::Error>,
    ),
    /// The clock of this node or of the server is wrong: another node should decide what depends on the time of day.
    #[error("clock skew between redis and this node too large")]
    ClockSkew,
    /// Too many commands are in flight: nothing was sent.
    #[error("too many redis commands in flight")]
    TooManyCommands,
    /// The server did not confirm the subscription in time.
    #[error("redis did not confirm the subscription in time")]
    Unconfirmed,
    /// The command failed; it may have been sent.
    #[error(transparent)]
    Fred(#[from] fred::error::Error),
}

impl CommandFailure {
    /// Reports whether the failure is one of the connection, and no error reply of the server.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::ClockSkew | Self::TooManyCommands | Self::Unconfirmed => false,
            Self::Fred(error) => refusal(error).is_none(),
        }
    }

    /// Error of the bus for the step that failed.
    pub(super) fn at_step(self, step: &'static str) -> BusError {
        BusError::Unavailable {
            step,
            source: Box::new(self),
        }
    }
}

/// Code of the server's error reply (`NOPERM`, `MOVED`, `ERR`); none for a failed connection.
pub(super) fn refusal(error: &fred::error::Error) -> Option<&str> {
    let code = error.details().split(' ').next().unwrap_or_default();
    (code.len() > 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(code)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use fred::error::{Error, ErrorKind};
    use protocol::fault::chain;

    use super::*;

    #[test]
    fn no_failure_says_a_part_of_its_chain_twice() {
        let refusal = Error::new(ErrorKind::Auth, "WRONGPASS invalid username-password pair");
        let timeout = || Error::new(ErrorKind::Timeout, "Request timed out.");
        for failure in [
            CommandFailure::Unreachable(None),
            CommandFailure::Unreachable(Some(refusal)),
            CommandFailure::ClockSkew,
            CommandFailure::TooManyCommands,
            CommandFailure::Unconfirmed,
            CommandFailure::Fred(timeout()),
        ] {
            let line = chain(&failure.at_step("publish an event"));
            let parts: Vec<&str> = line.split(": ").collect();
            let distinct: HashSet<&str> = parts.iter().copied().collect();
            assert_eq!(distinct.len(), parts.len(), "{line}");
        }
    }

    #[test]
    fn error_replies_have_a_code_and_connection_failures_have_none() {
        for (reply, code) in [
            ("NOPERM No permissions to access a channel", "NOPERM"),
            ("MOVED 3999 127.0.0.1:6381", "MOVED"),
            ("CLUSTERDOWN Hash slot not served", "CLUSTERDOWN"),
            ("ERR unknown command", "ERR"),
        ] {
            assert_eq!(refusal(&Error::new(ErrorKind::Unknown, reply)), Some(code));
        }
        for command_failure in ["Connection closed.", "Request timed out.", "IO error", "", "A b"] {
            assert_eq!(
                refusal(&Error::new(ErrorKind::Unknown, command_failure)),
                None,
                "{command_failure}"
            );
        }
    }
}
