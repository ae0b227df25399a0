//! `security:sessions`: sessions that are alive in the bus or by the store's deadlines, with the number of their sockets.

use std::collections::HashMap;

use bus::{AliveSession, BusError, OpenSocket, Presence, SessionRegistry};
use protocol::api::{SessionList, UserSession};
use protocol::cluster::job::JobOutcome;
use protocol::cluster::origin::Origin;
use protocol::code::ErrorCode;
use protocol::command::{Answer, SessionsAnswer};
use protocol::expiry::Expiry;
use protocol::fault::Fault;
use protocol::id::{SessionId, UserId};
use protocol::security::SessionInfo;
use protocol::time::Timestamp;
use store::{SessionRecord, SessionRecords, StoreError};

use super::SessionService;
use crate::call::{Call, Refusal};

impl SessionService {
    /// Lists the user's live sessions.
    pub(crate) async fn list(&self, call: &Call) -> Result<JobOutcome, ListError> {
        let now = Timestamp::from(self.clock.now());
        let listed = SessionsAnswer {
            sessions: self.sessions(&call.user, Some(call), now).await?,
            server_time: now,
        };
        Ok(JobOutcome::from(&Answer::Sessions(listed)))
    }

    /// Lists the user's live sessions for the application, oldest first.
    pub(crate) async fn list_for_application(&self, call: &Call) -> Result<JobOutcome, ListError> {
        let now = Timestamp::from(self.clock.now());
        let sessions = self.sessions(&call.user, None, now).await?;
        let mut sessions: Vec<_> = sessions.into_iter().map(UserSession::from).collect();
        sessions.sort_by_key(|session| session.connected_at);
        Ok(JobOutcome::success(&SessionList { sessions }))
    }

    /// Live sessions of a user, as a caller in one of them sees them, or one in none.
    async fn sessions(
        &self,
        user: &UserId,
        caller: Option<&Call>,
        now: Timestamp,
    ) -> Result<Vec<SessionInfo>, ListError> {
        let sources = SessionSources {
            records: &*self.records,
            registry: &*self.registry,
            presence: &*self.presence,
        };
        let sessions = sources.live_sessions(user).await?;
        let user_timeout = self.timeout(user).await?;
        let sessions = sessions.into_iter().map(|LiveSession { opened, alive, sockets }| {
            let (left, timeout) = match alive {
                Some(alive) => (alive.left, alive.timeout),
                // Redis has lost the session.
                None => (opened.left, user_timeout),
            };
            let caller = caller.filter(|call| call.session == opened.session);
            SessionInfo {
                current: caller.is_some(),
                sockets,
                session_id: opened.session,
                device_name: opened.origin.device_name,
                user_agent: opened.origin.user_agent,
                address: opened.origin.address,
                connected_at: opened.opened_at,
                last_active_at: now.minus(timeout.saturating_sub(left)),
                // Each socket of another session has a token of its own.
                expiry: Expiry::new(now.plus(left), caller.and_then(|call| call.token_expires_at)),
            }
        });
        Ok(sessions.collect())
    }
}

/// Live session of a user.
pub(crate) struct LiveSession {
    pub(crate) opened: SessionRecord,
    /// The session in Redis; none if Redis has lost it.
    pub(crate) alive: Option<AliveSession>,
    /// Number of open sockets.
    pub(crate) sockets: u32,
}

/// Sources of a user's live sessions.
pub(crate) struct SessionSources<'a> {
    pub(crate) records: &'a dyn SessionRecords,
    pub(crate) registry: &'a dyn SessionRegistry,
    pub(crate) presence: &'a dyn Presence,
}

impl SessionSources<'_> {
    /// Lists the user's live sessions.
    pub(crate) async fn live_sessions(&self, user: &UserId) -> Result<Vec<LiveSession>, ListError> {
        let alive = self.registry.alive_sessions(user).await?;
        let ids: Vec<_> = alive.iter().map(|alive| alive.session.clone()).collect();
        let mut opened = self.records.sessions_of(user, &ids).await?;
        opened.extend(self.unknown_sessions(user, &alive, &opened).await?);
        let mut alive: HashMap<_, _> = alive.into_iter().map(|alive| (alive.session.clone(), alive)).collect();
        let sockets = self.presence.open_sockets(user).await?;
        let live = opened.into_iter().map(|opened| LiveSession {
            alive: alive.remove(&opened.session),
            sockets: sockets_of(&opened.session, &sockets),
            opened,
        });
        Ok(live.collect())
    }

    /// Live sessions that the store has lost, and with them their origin.
    async fn unknown_sessions(
        &self,
        user: &UserId,
        alive: &[AliveSession],
        opened: &[SessionRecord],
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let mut unknown = Vec::new();
        for alive in alive {
            let is_known = opened.iter().any(|opened| opened.session == alive.session);
            if !is_known && !self.records.is_session_ended(user, &alive.session).await? {
                unknown.push(SessionRecord {
                    session: alive.session.clone(),
                    opened_at: alive.opened_at,
                    origin: Origin {
                        address: String::new(),
                        device_id: None,
                        device_name: None,
                        user_agent: None,
                    },
                    left: alive.left,
                });
            }
        }
        Ok(unknown)
    }
}

fn sockets_of(session: &SessionId, sockets: &[OpenSocket]) -> u32 {
    let count = sockets.iter().filter(|socket| socket.session == *session).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Failure to list the sessions.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("look up the live sessions and their sockets")]
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
