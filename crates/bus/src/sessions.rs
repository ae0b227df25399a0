//! Sessions: each is a deadline that activity moves. What is said here are facts; who is warned or closed is decided elsewhere.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;
use tokio::sync::mpsc;

use crate::BusError;

/// The sessions that are alive, and the tombstones of those that were ended. All deadlines are the server's own time; times of
/// openings and ends are the store's, and are only compared with each other.
#[async_trait]
pub trait SessionRegistry: Send + Sync {
    /// Makes a session known. One that is known stays as it is; one that was ended begins anew only when it was opened after that
    /// end, and one whose end was announced goes on only when the seed names that announcement. Of a user with too many sessions,
    /// the one that ends first is forgotten.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn seed(&self, session: &SessionKey, seed: SessionSeed) -> Result<SessionState, BusError>;

    /// Where each session stands, in the order asked.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn check_ttl(&self, sessions: &[SessionKey]) -> Result<Vec<SessionState>, BusError>;

    /// Where a session stands, for a token of it that was issued then. With a session that is alive the newest such time is kept.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the time may have been kept.
    async fn record_token(&self, session: &SessionKey, issued_at: Option<Timestamp>) -> Result<SessionState, BusError>;

    /// There was activity: a session that is alive gets its whole timeout again, in a new generation. Nothing else changes.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: it may have been extended.
    async fn renew_session(&self, session: &SessionKey) -> Result<SessionRenewal, BusError>;

    /// Another timeout holds for a session that is alive, counted from its last activity, in a new generation; but it lasts at least
    /// `lead` from now, so that there is a warning before its end. Nothing else changes.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: it may have been changed.
    async fn set_timeout(
        &self,
        session: &SessionKey,
        timeout: Duration,
        lead: Duration,
    ) -> Result<SessionState, BusError>;

    /// A user's sessions that are alive, also those whose end was announced.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn alive_sessions(&self, user: &UserId) -> Result<Vec<AliveSession>, BusError>;

    /// Announces that the end of these sessions, known or not, is about to be committed: from now on each is
    /// [`SessionState::Ending`]. Gives what was known of each, in the order asked.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: some may have been announced.
    async fn announce_end(&self, sessions: &[SessionKey]) -> Result<Vec<EndAnnouncement>, BusError>;

    /// Ends a session, known or not, that was ended at this time, and remembers that for `keep`. One that was opened after that
    /// stays as it is.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: it may have ended.
    async fn end(&self, session: &SessionKey, ended_at: Timestamp, keep: Duration) -> Result<(), BusError>;

    /// Ends all of a user's sessions that were opened by this time, but one perhaps, whether they can be named or not, and
    /// remembers that for `keep`.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: they may have ended.
    async fn end_all(&self, user: &UserId, end: &EndAllSessions, keep: Duration) -> Result<(), BusError>;

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
pub struct SessionSeed {
    /// How long it has without activity.
    pub left: Duration,
    /// How long activity gives it.
    pub timeout: Duration,
    /// How long before its end the warning is due.
    pub lead: Duration,
    /// When it was opened, in the store's time.
    pub opened_at: Timestamp,
    /// No token that was presented in it was issued after this, where that is known.
    pub newest_token: Option<Timestamp>,
    /// The announcement of an end that was not committed.
    pub announced: Option<u64>,
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// It goes on.
    Alive(SessionTtl),
    /// An end with this number was announced, and may have been committed: the store knows.
    Ending(u64),
    /// Someone ended it.
    Ended,
    /// It is over, or was never known, or was lost: who knew its deadline can tell.
    Unknown,
}

/// A session that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTtl {
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
pub struct SessionRenewal {
    /// Where the session stands now.
    pub state: SessionState,
    /// Its end was moved when the warning had been due already.
    pub after_warning: bool,
}

/// A session that goes on, found by its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliveSession {
    /// Which.
    pub session: SessionId,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// How long it has without activity.
    pub left: Duration,
    /// How long activity gives it.
    pub timeout: Duration,
}

/// What was known of a session when its end was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndAnnouncement {
    /// It was alive.
    pub was_alive: bool,
    /// The newest time of issue among the tokens that were presented in it, where that is known.
    pub newest_token: Option<Timestamp>,
}

/// The end of all of a user's sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndAllSessions {
    /// Sessions that were opened by then have ended.
    pub ended_at: Timestamp,
    /// But not this one.
    pub except: Option<SessionId>,
}

/// How many sessions of one user are known at once; more than a user can have sockets.
pub(crate) const MOST_SESSIONS: usize = 256;

/// How long an announced end of a session that was not known is remembered: longer than whoever is opening it may take.
pub(crate) const ANNOUNCED_FOR: Duration = Duration::from_mins(5);
