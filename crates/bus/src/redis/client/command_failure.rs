//! Causes of failed commands.

use fred::error::ErrorKind;

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
    /// The server owns the slot since a moment, and is not connected yet: nothing was sent.
    #[error("redis is not connected yet")]
    Opening,
    /// No server owns the slot of the keys: nothing was sent.
    #[error("no redis owns the slot of the keys")]
    Unowned,
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
    /// Class of a failure of the connection; none for an error reply of the server.
    pub(super) fn outage(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable(Some(refusal)) => Some(waitable(refusal).unwrap_or("refused")),
            Self::Unreachable(None) => Some("unreachable"),
            Self::Opening => Some("unreachable"),
            Self::Unowned => Some("cluster_down"),
            Self::ClockSkew | Self::TooManyCommands | Self::Unconfirmed => None,
            Self::Fred(error) if refusal(error).is_none() => waitable(error),
            Self::Fred(_) => None,
        }
    }

    /// Kind in metrics, one of a few words (`error.type`).
    pub(super) fn error_type(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => self.outage().unwrap_or("unreachable"),
            Self::Opening => "unreachable",
            Self::Unowned => "cluster_down",
            Self::ClockSkew => "clock_skew",
            Self::TooManyCommands => "too_many_commands",
            Self::Unconfirmed => "timeout",
            Self::Fred(error) => waitable(error).unwrap_or(ERROR_REPLY),
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

/// Kind of a failure in which the server replied with an error that is no outage.
pub(super) const ERROR_REPLY: &str = "error_reply";

/// Code of the server's error reply (`NOPERM`, `MOVED`, `ERR`); none for a failed connection.
pub(super) fn refusal(error: &fred::error::Error) -> Option<&str> {
    let code = error.details().split(' ').next().unwrap_or_default();
    (code.len() > 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(code)
}

/// Class of a failed connection, or of an error reply that the server may stop to send; none for other replies.
pub(super) fn waitable(error: &fred::error::Error) -> Option<&'static str> {
    let Some(code) = refusal(error) else {
        return Some(match error.kind() {
            ErrorKind::Timeout => "timeout",
            _ => "unreachable",
        });
    };
    match code {
        "WRONGPASS" | "NOAUTH" => Some("auth"),
        "LOADING" => Some("loading"),
        "READONLY" | "MASTERDOWN" => Some("read_only"),
        "CLUSTERDOWN" => Some("cluster_down"),
        "BUSY" | "TRYAGAIN" | "MISCONF" | "NOREPLICAS" => Some("refused"),
        "ERR" if error.details().contains("max number of clients") => Some("refused"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use fred::error::Error;
    use protocol::fault::chain;

    use super::*;

    #[test]
    fn no_failure_says_a_part_of_its_chain_twice() {
        let refusal = Error::new(ErrorKind::Auth, "WRONGPASS invalid username-password pair");
        let timeout = || Error::new(ErrorKind::Timeout, "Request timed out.");
        for failure in [
            CommandFailure::Unreachable(None),
            CommandFailure::Opening,
            CommandFailure::Unowned,
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

    #[test]
    fn replies_that_only_a_change_of_settings_or_permissions_ends_are_not_waited_for() {
        let class = |reply: &'static str| waitable(&Error::new(ErrorKind::Unknown, reply));
        for (reply, expected) in [
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                Some("auth"),
            ),
            ("NOAUTH Authentication required.", Some("auth")),
            ("LOADING Redis is loading the dataset in memory", Some("loading")),
            ("MASTERDOWN Link with MASTER is down", Some("read_only")),
            ("ERR max number of clients reached", Some("refused")),
            ("Connection reset by peer", Some("unreachable")),
            ("NOPERM this user has no permissions to run the 'eval' command", None),
            ("MOVED 3999 127.0.0.1:6381", None),
            ("ERR DB index is out of range", None),
            ("ERR unknown command `HELLO`", None),
        ] {
            assert_eq!(class(reply), expected, "{reply}");
        }
        let timeout = Error::new(ErrorKind::Timeout, "Request timed out.");
        assert_eq!(waitable(&timeout), Some("timeout"));
    }
}
