//! Sessions: deadlines that activity renews. Warnings and closes are decided elsewhere.

use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::origin::Origin;
use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;
use tokio::sync::mpsc;

use crate::BusError;

/// Live sessions, and tombstones of ended ones. Deadlines are in the server's time; opening and end times are in the store's, and
/// are only compared with each other.
#[async_trait]
pub trait SessionRegistry: Send + Sync {
    /// Registers a session. A known session stays unchanged; an ended one is registered again only if it was opened after that
    /// end, and one with an announced end only if the seed names that announcement. Above the bound per user, the session with
    /// the earliest deadline is dropped.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn seed(&self, session: &SessionKey, seed: SessionSeed) -> Result<SessionState, BusError>;

    /// Registers a session as [`SessionRegistry::seed`] does, after a worker has recorded the sign-in that opened it. In the same step it
    /// marks the origin as seen and records that no alert is open, unless the sign-in's check is no longer the user's current one.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn seed_signed_in(
        &self,
        session: &SessionKey,
        seed: SessionSeed,
        sign_in: &RecordedSignIn<'_>,
    ) -> Result<SessionState, BusError>;

    /// Reads the state of each session, in the order of `sessions`.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn check_ttl(&self, sessions: &[SessionKey]) -> Result<Vec<SessionState>, BusError>;

    /// Reads the state of a session, and records a token's times; the newest of each are kept with a live session.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the times may have been recorded.
    async fn record_token(&self, session: &SessionKey, token: TokenTimes) -> Result<SessionState, BusError>;

    /// Renews a live session for its whole timeout, in a new generation. Other sessions stay unchanged.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the session may have been renewed.
    async fn renew_session(&self, session: &SessionKey) -> Result<SessionRenewal, BusError>;

    /// Sets the timeout of a live session, counted from its last activity, in a new generation. The session lasts at least `lead`
    /// from now, so that a warning precedes its end. Other sessions stay unchanged.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the timeout may have been set.
    async fn set_timeout(
        &self,
        session: &SessionKey,
        timeout: Duration,
        lead: Duration,
    ) -> Result<SessionState, BusError>;

    /// Lists a user's live sessions, including those with an announced end.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn alive_sessions(&self, user: &UserId) -> Result<Vec<AliveSession>, BusError>;

    /// Announces that the end of these sessions, known or not, is about to be committed: each becomes [`SessionState::Ending`].
    /// Returns the previous knowledge of each, in the order of `sessions`.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: some may have been announced.
    async fn announce_end(&self, sessions: &[SessionKey]) -> Result<Vec<EndAnnouncement>, BusError>;

    /// Ends a session, known or not, with a tombstone for `tombstone_ttl`. A session opened after `ended_at` stays unchanged.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the session may have ended.
    async fn end(&self, session: &SessionKey, ended_at: Timestamp, tombstone_ttl: Duration) -> Result<(), BusError>;

    /// Ends all sessions of a user, known or not, that were opened by this time, with an optional exception and a tombstone
    /// for `tombstone_ttl`.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the sessions may have ended.
    async fn end_all(&self, user: &UserId, end: &EndAllSessions, tombstone_ttl: Duration) -> Result<(), BusError>;

    /// Subscribes to expired sessions and warnings. These are hints, to be followed by [`SessionRegistry::check_ttl`]: they may
    /// be late, duplicated or missing, and the channel may close.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    fn expiries(&self) -> mpsc::Receiver<SessionKey>;
}

/// Key of a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    /// Owner.
    pub user: UserId,
    /// Id of the session.
    pub session: SessionId,
}

/// Times of a token, or the newest of each among the tokens of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenTimes {
    /// Time of issue, if known.
    pub issued_at: Option<Timestamp>,
    /// Expiry, if known.
    pub expires_at: Option<Timestamp>,
}

impl TokenTimes {
    /// Unknown times.
    pub const UNKNOWN: Self = Self {
        issued_at: None,
        expires_at: None,
    };

    /// The newest of each.
    #[must_use]
    pub fn newest(self, other: Self) -> Self {
        Self {
            issued_at: self.issued_at.max(other.issued_at),
            expires_at: self.expires_at.max(other.expires_at),
        }
    }
}

/// Initial state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSeed {
    /// Time left without activity.
    pub left: Duration,
    /// Idle timeout.
    pub timeout: Duration,
    /// Warning lead: time between the warning and the end.
    pub lead: Duration,
    /// Opening time, in the store's time.
    pub opened_at: Timestamp,
    /// Newest times of the session's tokens.
    pub tokens: TokenTimes,
    /// Number of an announced end that was not committed.
    pub announced: Option<u64>,
}

/// Sign-in that a worker has recorded, with no alert open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedSignIn<'a> {
    /// Name of the check, as in [`Hints::begin_alert_check`](crate::Hints::begin_alert_check), started before the store was read.
    pub check: &'a str,
    /// Device and network.
    pub from: &'a Origin,
}

/// State of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// The session is live.
    Alive(SessionTtl),
    /// An end with this number was announced; the store knows whether it was committed.
    Ending(u64),
    /// The session was ended.
    Ended,
    /// The session expired, was never registered, or was lost; its last known deadline tells which.
    Unknown,
}

/// Remaining time of a live session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTtl {
    /// Generation, which increases whenever the deadline moves.
    pub generation: u64,
    /// Time left without activity.
    pub left: Duration,
    /// Time until the warning is due; zero from then on.
    pub warns_in: Duration,
    /// Idle timeout.
    pub timeout: Duration,
    /// Warning lead: time between the warning and the end.
    pub lead: Duration,
    /// Latest expiry among the session's tokens, if known.
    pub latest_token_expiry: Option<Timestamp>,
}

/// Result of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRenewal {
    /// State after the renewal.
    pub state: SessionState,
    /// True if the warning had been due already.
    pub after_warning: bool,
}

/// Live session in the list of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliveSession {
    /// Id of the session.
    pub session: SessionId,
    /// Opening time.
    pub opened_at: Timestamp,
    /// Time left without activity.
    pub left: Duration,
    /// Idle timeout.
    pub timeout: Duration,
}

/// Knowledge of a session at the announcement of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndAnnouncement {
    /// True if the session was live.
    pub was_alive: bool,
    /// Newest times of the session's tokens.
    pub tokens: TokenTimes,
}

/// End of all sessions of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndAllSessions {
    /// Time by which the ended sessions were opened.
    pub ended_at: Timestamp,
    /// Session that goes on.
    pub except: Option<SessionId>,
}

/// Bound of the sessions of one user; above that of the sockets.
pub(crate) const MAX_SESSIONS: usize = 256;

/// TTL of an announced end of an unknown session: longer than opening one may take.
pub(crate) const ANNOUNCEMENT_TTL: Duration = Duration::from_mins(5);
