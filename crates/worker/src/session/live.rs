//! Whether a user has another session that is alive.

use std::sync::Arc;

use bus::BusError;
use protocol::id::{SessionId, UserId};

/// Knows which sessions are alive.
pub(crate) struct LiveSessions(pub(crate) Arc<dyn bus::SessionRegistry>);

impl LiveSessions {
    pub(crate) async fn has_another(&self, user: &UserId, session: &SessionId) -> Result<bool, BusError> {
        let alive = self.0.alive_sessions(user).await?;
        Ok(alive.iter().any(|alive| alive.session != *session))
    }
}
