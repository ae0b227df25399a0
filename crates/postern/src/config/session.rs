//! Section "Sessions": timeout without activity, and the lead of its warning.

use std::time::Duration;

use clap::Args;
use worker::SessionTimes;

use super::{Problems, duration, heading};

/// Flags and variables of sessions, for a worker and for `postern dev`.
#[derive(Debug, Clone, Args)]
pub struct SessionArgs {
    /// Idle timeout of a session.
    #[arg(long, env = "POSTERN_SESSION_TIMEOUT", default_value = "30m", help_heading = heading::SESSIONS)]
    pub session_timeout: String,
    /// Warning lead: time between the warning and the end of a session; half of the timeout if that is not longer.
    #[arg(long, env = "POSTERN_SESSION_WARNING", default_value = "5m", help_heading = heading::SESSIONS)]
    pub session_warning: String,
}

impl SessionArgs {
    /// Checks the times.
    pub(crate) fn check(&self, problems: &mut Problems) -> Option<SessionTimes> {
        let timeout = problems.take("POSTERN_SESSION_TIMEOUT", duration(&self.session_timeout));
        if timeout.is_some_and(|timeout| timeout < SHORTEST_SESSION) {
            problems.report("POSTERN_SESSION_TIMEOUT", "is at least `1s`");
        }
        let warning = problems.take("POSTERN_SESSION_WARNING", duration(&self.session_warning));
        Some(SessionTimes {
            timeout: timeout?,
            warning: warning?,
        })
    }
}

/// Minimum timeout: a shorter session would expire before the first message of its client.
const SHORTEST_SESSION: Duration = Duration::from_secs(1);
