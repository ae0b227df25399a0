//! Sessions: each is a deadline that activity moves. What is said here are facts; who is warned or closed is decided elsewhere.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::{SessionId, UserId};
use tokio::sync::mpsc;

use crate::BusError;

/// The sessions that are alive, and the tombstones of those that were ended. All deadlines are the server's own time.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Makes a session known. One that is known stays as it is, and so does one that was ended, unless the seed says otherwise.
    ///
    /// # Errors
    /// [`BusError::Away`].
    async fn seed(&self, session: &SessionKey, seed: Seed) -> Result<SessionState, BusError>;

    /// Where each session stands, in the order asked.
    ///
    /// # Errors
    /// [`BusError::Away`].
    async fn poke(&self, sessions: &[SessionKey]) -> Result<Vec<SessionState>, BusError>;

    /// There was activity: a session that is alive gets its whole timeout again, in a new generation. Nothing else changes.
    ///
    /// # Errors
    /// [`BusError::Away`]: it may have been extended.
    async fn touch(&self, session: &SessionKey) -> Result<Touched, BusError>;

    /// Another timeout holds for a session that is alive, counted from its last activity, in a new generation; but it lasts at least
    /// `lead` from now, so that there is a warning before its end. Nothing else changes.
    ///
    /// # Errors
    /// [`BusError::Away`]: it may have been changed.
    async fn retime(&self, session: &SessionKey, timeout: Duration, lead: Duration) -> Result<SessionState, BusError>;

    /// Ends a session, known or not, and remembers that for `keep`.
    ///
    /// # Errors
    /// [`BusError::Away`]: it may have ended.
    async fn end(&self, session: &SessionKey, keep: Duration) -> Result<(), BusError>;

    /// Opens this node's ear for sessions whose warning or end the server says has come: hints, to be followed by a poke. They
    /// come late, or twice, or never; the channel may close.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    fn expiries(&self) -> mpsc::Receiver<SessionKey>;
}

/// Which session.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    /// Whose.
    pub user: UserId,
    /// Which of theirs.
    pub session: SessionId,
}

/// What a session begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    /// How long it has without activity.
    pub left: Duration,
    /// How long activity gives it.
    pub timeout: Duration,
    /// How long before its end the warning is due.
    pub lead: Duration,
    /// Whether it begins even where it was ended: for a session that many tokens share.
    pub over_end: bool,
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// It goes on.
    Alive(Alive),
    /// Someone ended it.
    Ended,
    /// It is over, or was never known, or was lost: who knew its deadline can tell.
    Unknown,
}

/// A session that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alive {
    /// Another, and a higher one, each time its end moves.
    pub generation: u64,
    /// How long it has without activity.
    pub left: Duration,
    /// How long until the warning is due; zero from then on.
    pub warns_in: Duration,
    /// How long activity gives it.
    pub timeout: Duration,
    /// How long before its end the warning is due.
    pub lead: Duration,
}

/// What became of activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touched {
    /// Where the session stands now.
    pub state: SessionState,
    /// Its end was moved when the warning had been due already.
    pub after_warning: bool,
}
