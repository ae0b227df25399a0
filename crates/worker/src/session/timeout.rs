//! Session timeout of a user, and its change for live sessions.

use std::time::Duration;

use bus::{BusError, SessionState};
use futures_util::future::try_join_all;
use protocol::fault::chain;
use protocol::id::UserId;
use store::{StoreError, session_timeout};

use super::{SessionService, key};

impl SessionService {
    /// Session timeout of a user: the user's setting, else the operator's.
    pub(super) async fn timeout(&self, user: &UserId) -> Result<Duration, StoreError> {
        let minutes = self.security.security(user).await?.session_timeout;
        Ok(session_timeout(minutes, self.times.timeout))
    }

    /// Applies the stored timeout to all live sessions of a user. A session for which that fails gets it when it is opened next.
    pub(crate) async fn apply_timeout(&self, user: &UserId) {
        if let Err(error) = self.try_apply_timeout(user).await {
            tracing::warn!(error = chain(&error), "session timeout not changed for live sessions");
        }
    }

    async fn try_apply_timeout(&self, user: &UserId) -> Result<(), ApplyTimeoutError> {
        let timeout = self.timeout(user).await?;
        let lead = self.times.lead(timeout);
        let sessions = self.registry.alive_sessions(user).await?;
        let updates = sessions.iter().map(async |alive| {
            self.registry
                .set_timeout(&key(user, &alive.session), timeout, lead)
                .await
        });
        let states = try_join_all(updates).await?;
        let left = sessions
            .into_iter()
            .zip(states)
            .filter_map(|(session, state)| match state {
                SessionState::Alive(alive) => Some((session.session, alive.left)),
                SessionState::Ending(_) | SessionState::Ended | SessionState::Unknown => None,
            });
        let left: Vec<_> = left.collect();
        Ok(self.records.reset_deadlines(user, &left).await?)
    }
}

/// Failure to change the timeout of live sessions.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyTimeoutError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
}
