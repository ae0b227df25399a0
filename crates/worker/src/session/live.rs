//! Whether a user has another session that is alive.

use std::sync::Arc;

use bus::{BusError, SessionState};
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::id::{SessionId, UserId};
use store::StoreError;

use super::key;

/// Knows which sessions are alive.
pub(crate) struct LiveSessions {
    pub(crate) store: Arc<dyn store::Sessions>,
    pub(crate) bus: Arc<dyn bus::Sessions>,
}

impl LiveSessions {
    pub(crate) async fn has_another(&self, user: &UserId, session: &SessionId) -> Result<bool, LookError> {
        let opened = self.store.sessions_of(user).await?;
        let others = opened.iter().filter(|opened| opened.session != *session);
        let others: Vec<_> = others.map(|opened| key(user, &opened.session)).collect();
        let states = self.bus.poke(&others).await?;
        Ok(states.iter().any(|state| matches!(state, SessionState::Alive(_))))
    }
}

/// Why nothing is known of other sessions.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("look for other sessions")]
    Bus(#[from] BusError),
}

impl Fault for LookError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            Self::Bus(error) => error.code(),
        }
    }
}
