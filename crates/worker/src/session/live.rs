//! Check for another live session of the user.

use std::sync::Arc;

use bus::BusError;
use protocol::id::{SessionId, UserId};

/// Query of live sessions in the bus.
pub(crate) struct LiveSessions(pub(crate) Arc<dyn bus::SessionRegistry>);

impl LiveSessions {
    /// Reports whether the user has a live session besides this one.
    pub(crate) async fn has_another(&self, user: &UserId, session: &SessionId) -> Result<bool, BusError> {
        let alive = self.0.alive_sessions(user).await?;
        Ok(alive.iter().any(|alive| alive.session != *session))
    }
}
