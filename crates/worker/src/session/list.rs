//! `security:sessions`: what the store knows of a user's sessions, with their deadlines and sockets from the bus.

use bus::{BusError, SessionState};
use protocol::answer::{Answer, Sessions};
use protocol::cluster::job::Outcome;
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::security::SessionInfo;
use protocol::time::Timestamp;
use store::StoreError;

use super::{SessionService, key};
use crate::jobs::{Call, Refusal};

impl SessionService {
    /// The sessions that are alive.
    pub(crate) async fn list(&self, call: &Call) -> Result<Outcome, ListError> {
        let opened = self.store.sessions_of(&call.user).await?;
        let keys: Vec<_> = opened.iter().map(|opened| key(&call.user, &opened.session)).collect();
        let states = self.bus.poke(&keys).await?;
        let sockets = self.bus.present(&call.user).await?;
        let now = Timestamp::from(self.clock.now());
        let sessions = opened.into_iter().zip(states).filter_map(|(opened, state)| {
            let SessionState::Alive(alive) = state else {
                return None;
            };
            let sockets = sockets.iter().filter(|socket| socket.session == opened.session).count();
            let expires_at = now.plus(alive.left);
            Some(SessionInfo {
                current: opened.session == call.session,
                session_id: opened.session,
                device_name: opened.origin.device_name,
                user_agent: opened.origin.user_agent,
                address: opened.origin.address,
                connected_at: opened.opened_at,
                last_active_at: now.minus(alive.timeout.saturating_sub(alive.left)),
                expires_at,
                sockets: u32::try_from(sockets).unwrap_or(u32::MAX),
            })
        });
        let sessions = sessions.collect();
        Ok(Outcome::from(&Answer::Sessions(Sessions { sessions })))
    }
}

/// Why sessions were not listed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("look for the sessions and their sockets")]
    Bus(#[from] BusError),
}

impl Fault for ListError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            Self::Bus(error) => error.code(),
        }
    }
}

impl Refusal for ListError {}
