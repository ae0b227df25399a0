//! A user's session timeout, and what a new one does to sessions that are alive.

use std::time::Duration;

use bus::{BusError, SessionState};
use futures_util::future::try_join_all;
use protocol::fault::chain;
use protocol::id::UserId;
use store::{DEFAULT_SESSION_TIMEOUT, StoreError};

use super::{SessionService, key};

impl SessionService {
    /// How long a user's sessions last without activity: what the user has chosen, else what the operator has.
    pub(super) async fn timeout(&self, user: &UserId) -> Result<Duration, StoreError> {
        let minutes = self.store.security(user).await?.session_timeout;
        Ok(if minutes == DEFAULT_SESSION_TIMEOUT {
            self.times.timeout
        } else {
            Duration::from_secs(60 * u64::from(minutes))
        })
    }

    /// Gives all live sessions of a user the timeout that is kept. Where that fails, they get it when they are opened next.
    pub(crate) async fn retime(&self, user: &UserId) {
        if let Err(error) = self.retime_all(user).await {
            tracing::warn!(error = chain(&error), "sessions keep the timeout they had");
        }
    }

    async fn retime_all(&self, user: &UserId) -> Result<(), RetimeError> {
        let timeout = self.timeout(user).await?;
        let lead = self.times.lead(timeout);
        let sessions = self.bus.alive_sessions(user).await?;
        let retimed = sessions
            .iter()
            .map(async |alive| self.bus.set_timeout(&key(user, &alive.session), timeout, lead).await);
        let states = try_join_all(retimed).await?;
        let left = sessions
            .into_iter()
            .zip(states)
            .filter_map(|(session, state)| match state {
                SessionState::Alive(alive) => Some((session.session, alive.left)),
                SessionState::Ending(_) | SessionState::Ended | SessionState::Unknown => None,
            });
        let left: Vec<_> = left.collect();
        Ok(self.store.reset_deadlines(user, &left).await?)
    }
}

/// Why sessions were not given another timeout.
#[derive(Debug, thiserror::Error)]
enum RetimeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
}
