//! A socket's way into its session: one question to the bus, and where that knows nothing, one job for a worker.

use std::sync::Arc;

use bus::{Alive, BusError, SessionKey, SessionState};
use protocol::cluster::job::{OpenSession, Work};
use protocol::code::ErrorCode;
use protocol::fault::chain;
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

impl From<Closed> for ErrorCode {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Ended => Self::Forbidden,
            Closed::Idle => Self::Unauthenticated,
            Closed::Unavailable => Self::Unavailable,
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

    async fn standing(&self, caller: &Caller) -> Result<Alive, Closed> {
        let key = key(caller);
        let mut state = self.ask(&key).await?;
        // Whoever has a newer token may open the session that tokens without `sid` share, even where it was ended.
        let may_open = state == SessionState::Unknown || (state == SessionState::Ended && key.session.is_default());
        if may_open {
            self.open(caller).await?;
            state = self.ask(&key).await?;
        }
        match state {
            SessionState::Alive(alive) => Ok(alive),
            SessionState::Ended => Err(Closed::Ended),
            // Over, or lost, in the moment since it was opened: another try will tell.
            SessionState::Unknown => Err(Closed::Unavailable),
        }
    }

    /// Asks a worker to open the session of this caller, or to make it known again.
    ///
    /// # Errors
    /// [`Closed`].
    pub(super) async fn open(&self, caller: &Caller) -> Result<(), Closed> {
        let work = Work::OpenSession(OpenSession {
            issued_at: caller.token().issued,
            origin: caller.origin.clone(),
        });
        let job = caller.job(self.inquiries.node(), &*self.entropy, work);
        let outcome = self.inquiries.ask(&job, OPEN_WITHIN).await;
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

    async fn ask(&self, key: &SessionKey) -> Result<SessionState, Closed> {
        let states = self.bus.poke(std::slice::from_ref(key)).await;
        let states = states.map_err(|error| away(&error))?;
        states.into_iter().next().ok_or(Closed::Unavailable)
    }
}

fn away(error: &BusError) -> Closed {
    tracing::warn!(error = chain(error), "a session could not be opened");
    Closed::Unavailable
}
