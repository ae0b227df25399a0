//! Sessions: what must be known of them when Redis has forgotten, above all that they were ended.

use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::origin::Origin;
use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;

use crate::StoreError;
use crate::answers::Receipt;
use crate::vault::Ciphertext;

/// One row for each session, in the store's own time.
#[async_trait]
pub trait SessionRecords: Send + Sync {
    /// Opens a session, or finds it open, or finds that it is over.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn open_session(&self, opening: &SessionOpenRequest) -> Result<SessionOpenOutcome, StoreError>;

    /// Whether a session has ended: what every transaction asks that acts for one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn is_session_ended(&self, user: &UserId, session: &SessionId) -> Result<bool, StoreError>;

    /// Ends sessions for ever, once their end was announced. The receipt is made for their number.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn end_sessions(
        &self,
        ending: &EndSessionsRequest<'_>,
        receipt: &SessionsReceipt<'_>,
    ) -> Result<EndSessionsOutcome, StoreError>;

    /// Counts a wrong second factor. Gives how many came in the session since it was opened.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::SessionEnded`].
    async fn count_factor_failure(&self, user: &UserId, session: &SessionId) -> Result<u32, StoreError>;

    /// Users of whom ends are committed that the shared state has not confirmed, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn users_with_unconfirmed_ends(&self, limit: usize) -> Result<Vec<UserId>, StoreError>;

    /// A user's ends that are committed and not confirmed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn unconfirmed_ends(&self, user: &UserId) -> Result<CommittedEnds, StoreError>;

    /// Notes that the shared state has confirmed these ends.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn confirm_ends(&self, user: &UserId, ends: &CommittedEnds) -> Result<(), StoreError>;

    /// A user's sessions that were not ended and are among `alive` or alive as far as is known here, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn sessions_of(&self, user: &UserId, alive: &[SessionId]) -> Result<Vec<SessionRecord>, StoreError>;

    /// A page of the sessions that may be alive, after this one, in the order of their names: those that were when all deadlines were
    /// kept last.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn live_sessions(
        &self,
        after: Option<&(UserId, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(UserId, SessionId)>, StoreError>;

    /// Moves the deadlines of sessions to so long from now; none moves back.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn save_deadlines(&self, left: &[((UserId, SessionId), Duration)]) -> Result<(), StoreError>;

    /// Notes that every deadline was kept that was moved before so long ago.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn mark_deadlines_saved(&self, ago: Duration) -> Result<(), StoreError>;

    /// Sets the deadlines of a user's sessions to so long from now, also back: another timeout holds for them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn reset_deadlines(&self, user: &UserId, left: &[(SessionId, Duration)]) -> Result<(), StoreError>;
}

/// From how many sessions were ended to what is remembered of the command.
pub type SessionsReceipt<'a> = dyn Fn(usize) -> Receipt + Send + Sync + 'a;

/// A session that was opened and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Which.
    pub session: SessionId,
    /// When.
    pub opened_at: Timestamp,
    /// Where the socket came from that opened it last.
    pub origin: Origin,
    /// How long it has without activity, as far as is known here.
    pub left: Duration,
}

/// A socket that wants to join a session.
#[derive(Debug, Clone)]
pub struct SessionOpenRequest {
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
pub enum SessionOpenOutcome {
    /// It is open.
    Open(SessionLife),
    /// It was ended then, and stays so.
    Ended(Timestamp),
    /// Nobody knows it, and the token is from before the end of all, or does not say when it was issued.
    Outdated,
    /// Nothing happened in it for too long; a token that was issued later opens it again.
    IdledOut,
}

/// A session that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLife {
    /// How long it has without activity.
    pub left: Duration,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// No token that was presented in it was issued after this, where that is known.
    pub newest_token: Option<Timestamp>,
}

/// Which sessions to end.
pub struct EndSessionsRequest<'a> {
    /// Whose.
    pub user: UserId,
    /// Which of theirs.
    pub which: SessionSelector,
    /// Those that are alive in the shared state, whatever is known of them here.
    pub alive: &'a [SessionId],
    /// Announces them in the shared state.
    pub announcer: &'a dyn EndAnnouncer,
    /// Published for each with its end.
    pub notice: &'a (dyn Fn(&SessionId) -> Envelope + Send + Sync),
}

/// Some of a user's sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionSelector {
    /// This one.
    One(SessionId),
    /// All but this one, and what was opened before now or is opened by a token from before.
    AllExcept(SessionId),
    /// All, and what was opened before now or is opened by a token from before.
    All,
}

/// The shared state that admits sockets: it is told of an end before that is committed, while nobody can open a session of the
/// user, so that it admits nobody without asking whether it was.
#[async_trait]
pub trait EndAnnouncer: Send + Sync {
    /// Announces that these sessions are about to end, and gives what was known of each, in the order asked. Announced again, they
    /// are announced once more.
    ///
    /// # Errors
    /// [`AnnounceError`] when they were not, or not surely, announced.
    async fn announce(&self, user: &UserId, sessions: &[SessionId]) -> Result<Vec<AnnouncedEnd>, AnnounceError>;
}

/// What the shared state knew of a session that is about to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnouncedEnd {
    /// It was alive.
    pub was_alive: bool,
    /// The newest time of issue among the tokens that were presented in it, where that is known.
    pub newest_token: Option<Timestamp>,
}

/// Ends were not announced. The announcer has reported why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ends were not announced")]
pub struct AnnounceError;

/// What became of an ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndSessionsOutcome {
    /// So many that were alive have ended.
    Ended(usize),
    /// Nothing was done: this was answered before to this job or its idempotency key.
    Repeated(Ciphertext),
    /// Nothing was done: they could not be announced.
    Unannounced(AnnounceError),
}

/// Ends that are committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommittedEnds {
    /// Sessions that have ended, and when.
    pub sessions: Vec<(SessionId, Timestamp)>,
    /// The end of all.
    pub all: Option<EndAllSessions>,
}

/// The end of all of a user's sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndAllSessions {
    /// Sessions that were opened by then have ended, and tokens that were issued by then open none.
    pub ended_at: Timestamp,
    /// But for this one.
    pub except: Option<SessionId>,
}
