//! Sessions: what must be known of them when Redis has forgotten, above all that they were ended.

use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::origin::Origin;
use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;

use crate::StoreError;
use crate::answers::Receipt;
use crate::vault::Sealed;

/// One row for each session, in the store's own time.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Opens a session, or finds it open, or finds that it is over.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn open_session(&self, opening: &SessionOpening) -> Result<SessionOpened, StoreError>;

    /// Whether a session has ended: what every transaction asks that acts for one.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    async fn is_session_ended(&self, user: &UserId, session: &SessionId) -> Result<bool, StoreError>;

    /// Ends sessions for ever. The receipt is made for their number.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn end_sessions(
        &self,
        ending: &SessionEnding<'_>,
        receipt: &SessionsReceipt<'_>,
    ) -> Result<SessionsEnded, StoreError>;

    /// Counts a wrong second factor. Gives how many came in the session since it was opened.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::SessionEnded`].
    async fn count_failure(&self, user: &UserId, session: &SessionId) -> Result<u32, StoreError>;

    /// A user's sessions that may be alive, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    async fn sessions_of(&self, user: &UserId) -> Result<Vec<OpenedSession>, StoreError>;

    /// A page of the sessions that may be alive, after this one, in the order of their names.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    async fn live_sessions(
        &self,
        after: Option<&(UserId, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(UserId, SessionId)>, StoreError>;

    /// Moves the deadlines of sessions to so long from now; none moves back.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    async fn keep_deadlines(&self, left: &[((UserId, SessionId), Duration)]) -> Result<(), StoreError>;

    /// Sets the deadlines of a user's sessions to so long from now, also back: another timeout holds for them.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    async fn retime_sessions(&self, user: &UserId, left: &[(SessionId, Duration)]) -> Result<(), StoreError>;
}

/// From how many sessions were ended to what is remembered of the command.
pub type SessionsReceipt<'a> = dyn Fn(usize) -> Receipt + Send + Sync + 'a;

/// A session that was opened and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedSession {
    /// Which.
    pub session: SessionId,
    /// When.
    pub opened_at: Timestamp,
    /// Where the socket came from that opened it last.
    pub origin: Origin,
}

/// A socket that wants to join a session.
#[derive(Debug, Clone)]
pub struct SessionOpening {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub session: SessionId,
    /// When the token was issued, where it says so.
    pub issued_at: Option<Timestamp>,
    /// How long a session lasts without activity.
    pub timeout: Duration,
    /// Where the socket comes from.
    pub origin: Origin,
}

/// What became of an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionOpened {
    /// It is open, for so long without activity.
    Open(Duration),
    /// It was ended, and stays so.
    Ended,
    /// Nothing happened in it for too long; a token that was issued later opens it again.
    IdledOut,
}

/// Which sessions to end.
pub struct SessionEnding<'a> {
    /// Whose.
    pub user: UserId,
    /// Which of theirs.
    pub which: WhichSessions,
    /// Published for each with its end.
    pub notice: &'a (dyn Fn(&SessionId) -> Envelope + Send + Sync),
}

/// Some of a user's sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichSessions {
    /// This one.
    One(SessionId),
    /// All but this one.
    AllBut(SessionId),
    /// All.
    All,
}

/// What became of an ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionsEnded {
    /// How many ended now, or the answer that was given before to this job or its idempotency key; then nothing was done.
    pub count: Result<usize, Sealed>,
    /// All of the user's that ended within the last ten minutes: what follows an end must be done for these, again perhaps.
    pub ended: Vec<SessionId>,
}
