//! Admission of a socket to its session: one query of the bus, and one job for a worker if the bus does not know the session.

use std::sync::Arc;

use bus::{SessionState, SessionTtl};
use protocol::answer::Failure;
use protocol::cluster::job::{OpenSession, Work};
use protocol::code::{ErrorCode, TokenFault};
use protocol::time::Timestamp;
use tokio::time::Instant;

use super::{Membership, OPEN_WITHIN, SessionMonitor};
use crate::socket::Caller;

/// Reason for which a socket is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionRefusal {
    /// The session was ended.
    Ended,
    /// The session expired, and the token was issued before that.
    Idle,
    /// The state of the session is unknown at the moment.
    Unavailable,
}

impl SessionRefusal {
    /// Answer to the client.
    pub(crate) fn failure(self) -> Failure {
        match self {
            Self::Ended => Failure::of(ErrorCode::Forbidden),
            Self::Idle => Failure::of_token(TokenFault::Expired),
            Self::Unavailable => Failure::of(ErrorCode::Unavailable),
        }
    }
}

impl SessionMonitor {
    /// Adds a socket to its session.
    ///
    /// # Errors
    /// [`SessionRefusal`].
    pub(crate) async fn join(self: &Arc<Self>, caller: &Arc<Caller>) -> Result<Membership, SessionRefusal> {
        let alive = self.alive(caller).await?;
        let key = caller.session_key();
        let member = (Arc::clone(caller), caller.token_deadline(self.now()));
        let id = self.table().join(&key, member, &alive, Instant::now());
        self.changed.notify_one();
        Ok(Membership {
            monitor: Arc::clone(self),
            key,
            id,
        })
    }

    /// Confirms that the session of a socket is alive once the socket is subscribed to its user's events: an end that was announced before
    /// did not reach this node, and none after it is missed.
    ///
    /// # Errors
    /// [`SessionRefusal`].
    pub(crate) async fn confirm(&self, caller: &Caller) -> Result<(), SessionRefusal> {
        self.alive(caller).await.map(drop)
    }

    async fn alive(&self, caller: &Caller) -> Result<SessionTtl, SessionRefusal> {
        let is_default = caller.session.is_default();
        let issued_at = caller.token().issued;
        let mut state = self.recorded_state(caller, issued_at).await?;
        // A newer token opens the session that tokens without `sid` share again, even if it was ended.
        if state == SessionState::Ended && is_default {
            self.open(caller, issued_at, None).await?;
            state = self.record(caller, issued_at).await?;
        }
        match state {
            SessionState::Alive(alive) => Ok(alive),
            SessionState::Ended => Err(SessionRefusal::Ended),
            // Ended or lost since it was opened: the client may try again.
            SessionState::Unknown | SessionState::Ending(_) => Err(SessionRefusal::Unavailable),
        }
    }

    /// Records a token of the caller's session and returns the state of the session; a worker opens it if the bus does not know it.
    ///
    /// # Errors
    /// [`SessionRefusal`].
    pub(super) async fn recorded_state(
        &self,
        caller: &Caller,
        issued_at: Option<Timestamp>,
    ) -> Result<SessionState, SessionRefusal> {
        let announced = match self.record(caller, issued_at).await? {
            SessionState::Unknown => None,
            SessionState::Ending(announced) => Some(announced),
            known @ (SessionState::Alive(_) | SessionState::Ended) => return Ok(known),
        };
        self.open(caller, issued_at, announced).await?;
        self.record(caller, issued_at).await
    }

    async fn record(&self, caller: &Caller, issued_at: Option<Timestamp>) -> Result<SessionState, SessionRefusal> {
        let state = self.sessions.record_token(&caller.session_key(), issued_at).await;
        let state = self.outage.record("token record", state);
        state.map_err(|_unavailable| SessionRefusal::Unavailable)
    }

    /// Has a worker open the session of this caller by a token of this time of issue, or restore it in the bus, also after this end was
    /// announced and not committed.
    ///
    /// # Errors
    /// [`SessionRefusal`].
    pub(super) async fn open(
        &self,
        caller: &Caller,
        issued_at: Option<Timestamp>,
        announced: Option<u64>,
    ) -> Result<(), SessionRefusal> {
        let work = Work::OpenSession(OpenSession {
            issued_at,
            announced,
            origin: caller.origin.clone(),
        });
        let outcome = self.workers.request(caller.requester(), work, OPEN_WITHIN).await;
        match outcome.map_err(|_unavailable| SessionRefusal::Unavailable)? {
            Some(outcome) => match outcome.error {
                None => Ok(()),
                Some(ErrorCode::Forbidden) => Err(SessionRefusal::Ended),
                Some(ErrorCode::Unauthenticated) => Err(SessionRefusal::Idle),
                Some(_) => Err(SessionRefusal::Unavailable),
            },
            None => Err(SessionRefusal::Unavailable),
        }
    }
}
