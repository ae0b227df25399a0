//! Admission of a socket to its session: one step on the bus, and one job for a worker if the bus does not know the session.

use std::sync::Arc;

use bus::{JoinOutcome, JoinedSocket, SessionState, SocketJoin, TokenTimes};
use protocol::answer::Failure;
use protocol::cluster::job::{OpenSession, Work};
use protocol::code::{ErrorCode, TokenFault};
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
    /// Adds a socket to its session. Its node is subscribed to the user's events before: an end that was announced earlier did not reach this
    /// node and is read here, and none after it is missed.
    ///
    /// # Errors
    /// [`SessionRefusal`].
    pub(crate) async fn join(
        self: &Arc<Self>,
        caller: &Arc<Caller>,
        join: &SocketJoin,
    ) -> Result<(Membership, JoinedSocket), SessionRefusal> {
        let losses = self.table().losses();
        let joined = self.joined(caller, join).await?;
        let key = join.session.clone();
        let member = (Arc::clone(caller), caller.token_deadline(self.now()));
        let id = self
            .table()
            .join(&key, member, (&joined.session, losses), Instant::now());
        self.changed.notify_one();
        let membership = Membership {
            monitor: Arc::clone(self),
            key,
            id,
        };
        Ok((membership, joined))
    }

    /// Joins the session in the bus; a worker opens it if the bus does not know it.
    async fn joined(&self, caller: &Caller, join: &SocketJoin) -> Result<JoinedSocket, SessionRefusal> {
        let mut outcome = self.join_once(join).await?;
        let announced = match outcome {
            JoinOutcome::Refused(SessionState::Unknown) => Some(None),
            JoinOutcome::Refused(SessionState::Ending(announced)) => Some(Some(announced)),
            JoinOutcome::Refused(SessionState::Alive(_) | SessionState::Ended) | JoinOutcome::Joined(_) => None,
        };
        if let Some(announced) = announced {
            let check = join.alert_check.clone().filter(|_| announced.is_none());
            self.open(caller, join.token, (announced, check)).await?;
            outcome = self.join_once(&without_check(join)).await?;
        }
        // A newer token opens the session that tokens without `sid` share again, even if it was ended.
        if outcome == JoinOutcome::Refused(SessionState::Ended) && caller.session.is_default() {
            self.open(caller, join.token, (None, None)).await?;
            outcome = self.join_once(&without_check(join)).await?;
        }
        match outcome {
            JoinOutcome::Joined(joined) => Ok(*joined),
            JoinOutcome::Refused(SessionState::Ended) => Err(SessionRefusal::Ended),
            // Ended or lost since it was opened: the client may try again.
            JoinOutcome::Refused(SessionState::Alive(_) | SessionState::Unknown | SessionState::Ending(_)) => {
                Err(SessionRefusal::Unavailable)
            }
        }
    }

    async fn join_once(&self, join: &SocketJoin) -> Result<JoinOutcome, SessionRefusal> {
        let outcome = self.outage.record("join", self.joins.join(join).await);
        outcome.map_err(|_unavailable| SessionRefusal::Unavailable)
    }

    /// Records a token of the caller's session and returns the state of the session; a worker opens it if the bus does not know it.
    ///
    /// # Errors
    /// [`SessionRefusal`].
    pub(super) async fn recorded_state(
        &self,
        caller: &Caller,
        token: TokenTimes,
    ) -> Result<SessionState, SessionRefusal> {
        let announced = match self.record(caller, token).await? {
            SessionState::Unknown => None,
            SessionState::Ending(announced) => Some(announced),
            known @ (SessionState::Alive(_) | SessionState::Ended) => return Ok(known),
        };
        self.open(caller, token, (announced, None)).await?;
        self.record(caller, token).await
    }

    async fn record(&self, caller: &Caller, token: TokenTimes) -> Result<SessionState, SessionRefusal> {
        let state = self.sessions.record_token(&caller.session_key(), token).await;
        let state = self.outage.record("token record", state);
        state.map_err(|_unavailable| SessionRefusal::Unavailable)
    }

    /// Has a worker open the session of this caller by a token of these times, or restore it in the bus, also after this end was
    /// announced and not committed. The worker records the sign-in under this check for open alerts, if one has started.
    ///
    /// # Errors
    /// [`SessionRefusal`].
    pub(super) async fn open(
        &self,
        caller: &Caller,
        token: TokenTimes,
        (announced, alert_check): (Option<u64>, Option<String>),
    ) -> Result<(), SessionRefusal> {
        let work = Work::OpenSession(OpenSession {
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            latest_expiry: Some(self.now().plus(self.token_lifetime)),
            announced,
            alert_check,
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

/// Join after a worker has opened the session: its check for open alerts is over, and is not started again under its name.
fn without_check(join: &SocketJoin) -> SocketJoin {
    SocketJoin {
        alert_check: None,
        ..join.clone()
    }
}
