//! Attempts at a change of the schema: each waits briefly for its locks, because commands on a table queue behind the change.

use std::error::Error;
use std::time::Duration;

use protocol::fault::chain;
use tokio::time::{Instant, sleep};
use tokio_postgres::error::SqlState;

use super::SetupError;

/// Settings of the connection for attempts. The limit of a role for its statements does not count.
pub(super) const SHORT_WAITS: &str = "SET lock_timeout = 500; SET statement_timeout = 0";

/// Attempts within a time limit.
#[derive(Debug)]
pub(super) struct Attempts {
    ends_at: Instant,
}

impl Attempts {
    pub(super) fn new() -> Self {
        Self {
            ends_at: Instant::now() + LIMIT,
        }
    }

    /// Attempts at a change that may as well be made by a later run.
    pub(super) fn brief() -> Self {
        Self {
            ends_at: Instant::now() + BRIEF_LIMIT,
        }
    }

    /// Returns when the next attempt may begin, after one that failed because another transaction had a lock.
    ///
    /// # Errors
    /// Any other error, and the last one at the end of the time.
    pub(super) async fn retry_after(&self, error: SetupError) -> Result<(), SetupError> {
        if !Self::lost_a_lock(&error) || Instant::now() >= self.ends_at {
            return Err(error);
        }
        tracing::warn!(error = chain(&error), "schema change waits for a lock, retrying");
        sleep(PAUSE).await;
        Ok(())
    }

    /// True if the server ended the statement because another transaction has a lock that it needs.
    pub(super) fn lost_a_lock(error: &SetupError) -> bool {
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            if let Some(code) = error
                .downcast_ref::<tokio_postgres::Error>()
                .and_then(tokio_postgres::Error::code)
            {
                return [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED].contains(code);
            }
            next = error.source();
        }
        false
    }
}

/// Half a second of waiting in a second and a half: commands that queue behind an attempt are served before the next.
const PAUSE: Duration = Duration::from_secs(1);

/// Time for the attempts. The chart's Job of the migration has twice as much.
const LIMIT: Duration = Duration::from_secs(300);

/// Time for attempts that a later run repeats.
const BRIEF_LIMIT: Duration = Duration::from_secs(10);
