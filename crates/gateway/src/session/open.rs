//! A socket's way into its session: one question to the bus, and where that knows nothing, one job for a worker.

use std::sync::Arc;

use bus::{BusError, SessionState, SessionTtl};
use protocol::answer::Failure;
use protocol::cluster::job::{OpenSession, Work};
use protocol::code::{ErrorCode, TokenFault};
use protocol::fault::chain;
use protocol::time::Timestamp;
use tokio::time::Instant;

use super::{Membership, OPEN_WITHIN, Sessions, key};
use crate::command::Caller;
use crate::connection::until;

/// Why a socket is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// Someone ended the session.
    Ended,
    /// It idled out, and the token is older than that.
    Idle,
    /// Nobody can say just now.
    Unavailable,
}

impl Closed {
    /// What the client is told.
    pub(crate) fn failure(self) -> Failure {
        match self {
            Self::Ended => Failure::of(ErrorCode::Forbidden),
            Self::Idle => Failure::of_token(TokenFault::Expired),
            Self::Unavailable => Failure::of(ErrorCode::Unavailable),
        }
    }
}

impl Sessions {
    /// Gives a socket its place in its session.
    ///
    /// # Errors
    /// [`Closed`]: it has none.
    pub(crate) async fn join(self: &Arc<Self>, caller: &Arc<Caller>) -> Result<Membership, Closed> {
        let alive = self.standing(caller).await?;
        let key = key(caller);
        let token_ends = until(caller.token().ends, self.now());
        let member = (Arc::clone(caller), token_ends);
        let id = self.table().join(&key, member, &alive, Instant::now());
        self.changed.notify_one();
        Ok(Membership {
            sessions: Arc::clone(self),
            key,
            id,
        })
    }

    /// Asks again whether the session of a socket goes on, once the bus is heard for its user: an end that was announced before was not
    /// heard here, and none that comes after is missed.
    ///
    /// # Errors
    /// [`Closed`].
    pub(crate) async fn confirm(&self, caller: &Caller) -> Result<(), Closed> {
        self.standing(caller).await.map(drop)
    }

    async fn standing(&self, caller: &Caller) -> Result<SessionTtl, Closed> {
        let key = key(caller);
        let issued_at = caller.token().issued;
        let mut state = self.present(caller, issued_at).await?;
        // Whoever has a newer token may open the session that tokens without `sid` share, even where it was ended.
        if state == SessionState::Ended && key.session.is_default() {
            self.open(caller, issued_at, None).await?;
            state = self.record(caller, issued_at).await?;
        }
        match state {
            SessionState::Alive(alive) => Ok(alive),
            SessionState::Ended => Err(Closed::Ended),
            // Over, or lost, in the moment since it was opened: another try will tell.
            SessionState::Unknown | SessionState::Ending(_) => Err(Closed::Unavailable),
        }
    }

    /// Records a token of the caller's session, and says where that stands once a worker was asked where the bus cannot tell.
    ///
    /// # Errors
    /// [`Closed`].
    pub(super) async fn present(&self, caller: &Caller, issued_at: Option<Timestamp>) -> Result<SessionState, Closed> {
        let announced = match self.record(caller, issued_at).await? {
            SessionState::Unknown => None,
            SessionState::Ending(announced) => Some(announced),
            known @ (SessionState::Alive(_) | SessionState::Ended) => return Ok(known),
        };
        self.open(caller, issued_at, announced).await?;
        self.record(caller, issued_at).await
    }

    async fn record(&self, caller: &Caller, issued_at: Option<Timestamp>) -> Result<SessionState, Closed> {
        let state = self.bus.record_token(&key(caller), issued_at).await;
        state.map_err(|error| away(&error))
    }

    /// Asks a worker to open the session of this caller by a token that was issued then, or to make it known again, also where this
    /// end was announced and not committed.
    ///
    /// # Errors
    /// [`Closed`].
    pub(super) async fn open(
        &self,
        caller: &Caller,
        issued_at: Option<Timestamp>,
        announced: Option<u64>,
    ) -> Result<(), Closed> {
        let work = Work::OpenSession(OpenSession {
            issued_at,
            announced,
            origin: caller.origin.clone(),
        });
        let job = caller.job(self.workers.node(), &*self.entropy, work);
        let outcome = self.workers.ask(&job, OPEN_WITHIN).await;
        match outcome.map_err(|error| away(&error))? {
            Some(outcome) => match outcome.error {
                None => Ok(()),
                Some(ErrorCode::Forbidden) => Err(Closed::Ended),
                Some(ErrorCode::Unauthenticated) => Err(Closed::Idle),
                Some(_) => Err(Closed::Unavailable),
            },
            None => Err(Closed::Unavailable),
        }
    }
}

fn away(error: &BusError) -> Closed {
    tracing::warn!(error = chain(error), "a session could not be opened");
    Closed::Unavailable
}
