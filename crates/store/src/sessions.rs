//! Session records: state that must outlive Redis, above all that sessions have ended.

use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::origin::Origin;
use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;

use crate::StoreError;
use crate::answers::Receipt;
use crate::devices::SignInFindings;
use crate::vault::Ciphertext;

/// Session records, in the store's own time.
#[async_trait]
pub trait SessionRecords: Send + Sync {
    /// Opens a session, or finds it open, ended or expired. The expiry of a token that opens none is recorded too, so that its session is
    /// not forgotten while the token is valid. If the session is open, the same transaction records the sign-in
    /// ([`SessionLife::sign_in_recorded`]), as [`crate::Devices::check_sign_in`] does, where that raises no alert and adds nothing to what
    /// the user is known by.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn open_session(
        &self,
        opening: &SessionOpenRequest,
        sign_in: Option<&OpeningSignIn<'_>>,
    ) -> Result<SessionOpenOutcome, StoreError>;

    /// Reports whether a session has ended. Every transaction on behalf of a session checks this.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn is_session_ended(&self, user: &UserId, session: &SessionId) -> Result<bool, StoreError>;

    /// Ends sessions, after announcing their end. The receipt is built for the number of ended sessions.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn end_sessions(
        &self,
        ending: &EndSessionsRequest<'_>,
        receipt: &SessionsReceipt<'_>,
    ) -> Result<EndSessionsOutcome, StoreError>;

    /// Counts a wrong second factor and returns the number since the session was opened.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::SessionEnded`].
    async fn count_factor_failure(&self, user: &UserId, session: &SessionId) -> Result<u32, StoreError>;

    /// Users with committed session ends that the shared state has not confirmed, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn users_with_unconfirmed_ends(&self, limit: usize) -> Result<Vec<UserId>, StoreError>;

    /// Committed session ends of a user that are not confirmed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn unconfirmed_ends(&self, user: &UserId) -> Result<CommittedEnds, StoreError>;

    /// Records that the shared state has confirmed these ends.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn confirm_ends(&self, user: &UserId, ends: &CommittedEnds) -> Result<(), StoreError>;

    /// Sessions of a user that have not ended and are in `alive` or alive as far as the store knows, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn sessions_of(&self, user: &UserId, alive: &[SessionId]) -> Result<Vec<SessionRecord>, StoreError>;

    /// Page of the sessions that may be alive, ordered by their ids, starting after this one: those that were alive when all
    /// deadlines were last saved.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn live_sessions(
        &self,
        after: Option<&(UserId, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(UserId, SessionId)>, StoreError>;

    /// Extends the deadlines of sessions to this long from now, and records the expiry of their tokens; never shortens one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn save_deadlines(&self, deadlines: &[((UserId, SessionId), SessionDeadline)]) -> Result<(), StoreError>;

    /// Records that all deadlines extended before this long ago are saved.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn mark_deadlines_saved(&self, ago: Duration) -> Result<(), StoreError>;

    /// Sets the deadlines of a user's sessions to this long from now, also shorter, after a change of the timeout.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn reset_deadlines(&self, user: &UserId, left: &[(SessionId, Duration)]) -> Result<(), StoreError>;
}

/// Builds the receipt from the number of ended sessions.
pub type SessionsReceipt<'a> = dyn Fn(usize) -> Receipt + Send + Sync + 'a;

/// Session that was opened and has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The session.
    pub session: SessionId,
    /// Time of its opening.
    pub opened_at: Timestamp,
    /// Origin of the socket that opened it last.
    pub origin: Origin,
    /// Remaining time without activity, as far as the store knows.
    pub left: Duration,
}

/// Request of a socket to join a session.
#[derive(Debug, Clone)]
pub struct SessionOpenRequest {
    /// User of the session.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// Time of issue of the token, if it states one.
    pub issued_at: Option<Timestamp>,
    /// Expiry of the token, if known.
    pub expires_at: Option<Timestamp>,
    /// Latest expiry of any token that was presented until now, if known.
    pub latest_expiry: Option<Timestamp>,
    /// Timeout of a session without activity, unless the user has chosen another.
    pub timeout: Duration,
    /// Origin of the socket.
    pub origin: Origin,
}

/// Sign-in that opens a session.
pub struct OpeningSignIn<'a> {
    /// The worker's rules: true if they raise no alert for these findings. Called again if the transaction is retried.
    pub raises_no_alert: &'a (dyn Fn(&SignInFindings) -> bool + Send + Sync),
    /// Receipt of the job, for the audit log. Its answer is not kept: a repeat finds the session open.
    pub receipt: &'a Receipt,
}

/// Result of [`SessionRecords::open_session`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionOpenOutcome {
    /// The session is open.
    Open(SessionLife),
    /// The session ended at this time.
    Ended(Timestamp),
    /// The session is unknown, and its token was issued before the end of all sessions or does not state when.
    Outdated,
    /// The session expired without activity; a token that was issued later opens it again.
    IdledOut,
}

/// Validity of an open session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLife {
    /// Remaining time without activity.
    pub left: Duration,
    /// Timeout without activity.
    pub timeout: Duration,
    /// Time of its opening.
    pub opened_at: Timestamp,
    /// True if the sign-in was recorded: its device and network are known, or the user's first, and no alert is open. Else it is still
    /// to be checked.
    pub sign_in_recorded: bool,
    /// Upper bound of the issue times of tokens presented in it, where known.
    pub newest_token: Option<Timestamp>,
    /// Upper bound of the expiries of tokens presented in it, where known.
    pub latest_expiry: Option<Timestamp>,
}

/// Deadline of a live session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionDeadline {
    /// Remaining time without activity.
    pub left: Duration,
    /// Latest expiry of the tokens presented in it, where known.
    pub latest_expiry: Option<Timestamp>,
}

/// Request to end sessions.
pub struct EndSessionsRequest<'a> {
    /// User of the sessions.
    pub user: UserId,
    /// Sessions to end.
    pub which: SessionSelector,
    /// Sessions that are alive in the shared state, whatever the store knows of them.
    pub alive: &'a [SessionId],
    /// Announces ends to the shared state.
    pub announcer: &'a dyn EndAnnouncer,
    /// Builds the event that is published for each session with its end.
    pub notice: &'a (dyn Fn(&SessionId) -> Envelope + Send + Sync),
}

/// Selection of a user's sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionSelector {
    /// One session.
    One(SessionId),
    /// All sessions but this one, including any that were opened before now or are opened by an older token.
    AllExcept(SessionId),
    /// All sessions, including any that were opened before now or are opened by an older token.
    All,
}

/// Announcer of session ends to the shared state, which admits sockets. It is called before the commit, under the user's lock, so
/// that no socket is admitted without a check of the commit.
#[async_trait]
pub trait EndAnnouncer: Send + Sync {
    /// Announces that these sessions are about to end. Returns the shared state's facts of each, in the same order. A repeated
    /// call announces again.
    ///
    /// # Errors
    /// [`AnnounceError`] if they were not, or not certainly, announced.
    async fn announce(&self, user: &UserId, sessions: &[SessionId]) -> Result<Vec<AnnouncedEnd>, AnnounceError>;
}

/// Facts of the shared state about a session that is about to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnouncedEnd {
    /// True if the session was alive.
    pub was_alive: bool,
    /// Newest time of issue among the tokens presented in it, where known.
    pub newest_token: Option<Timestamp>,
    /// Latest expiry among the tokens presented in it, where known.
    pub latest_expiry: Option<Timestamp>,
}

/// Session ends could not be announced. The announcer has reported the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("announce session ends")]
pub struct AnnounceError;

/// Result of [`SessionRecords::end_sessions`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndSessionsOutcome {
    /// Number of live sessions that have ended.
    Ended(usize),
    /// An earlier delivery of the job, or another job with its idempotency key, was answered; nothing changed.
    Repeated(Ciphertext),
    /// The ends could not be announced; nothing changed.
    Unannounced(AnnounceError),
}

/// Committed session ends of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommittedEnds {
    /// Ended sessions with the time of their end.
    pub sessions: Vec<(SessionId, Timestamp)>,
    /// End of all sessions, if there is one.
    pub all: Option<EndAllSessions>,
}

/// End of all sessions of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndAllSessions {
    /// Sessions opened until then have ended, and tokens issued until then open none.
    pub ended_at: Timestamp,
    /// Session that is exempt.
    pub except: Option<SessionId>,
}
