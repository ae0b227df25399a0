//! Challenges: small values that are kept for minutes and taken once.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::UserId;

use crate::BusError;

/// Short-lived values. What must never be taken twice is unique in Postgres too: a failover brings keys back.
#[async_trait]
pub trait Challenges: Send + Sync {
    /// Keeps a value for `ttl`, replacing one of the same key. Where the user then has more of its [`ChallengeKind`] than one may have, the
    /// oldest is deleted, in the same step.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn put(&self, key: &ChallengeKey, value: &[u8], ttl: Duration) -> Result<(), BusError>;

    /// Reads a value and leaves it.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn read(&self, key: &ChallengeKey) -> Result<Option<Vec<u8>>, BusError>;

    /// Takes a value: it is gone for everyone else.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: it may be gone.
    async fn take(&self, key: &ChallengeKey) -> Result<Option<Vec<u8>>, BusError>;

    /// Reads all values of one kind that a user has, in no order.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn read_all(&self, user: &UserId, kind: ChallengeKind) -> Result<Vec<Vec<u8>>, BusError>;

    /// Deletes all values of one kind that a user has.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: they may be deleted.
    async fn delete_all(&self, user: &UserId, kind: ChallengeKind) -> Result<(), BusError>;
}

/// Where a challenge is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ChallengeKey {
    /// The user that a state was issued to, by the state's hash, in hexadecimal.
    State {
        /// SHA-256 of the state.
        hash: String,
    },
    /// A link that waits to be confirmed ([`crate::PendingLink`]), by the hash of what its page and its browser keep, in hexadecimal.
    PendingLink {
        /// SHA-256 of both and of the platform.
        hash: String,
    },
    /// A pending authorization ([`crate::PendingAuthorization`]), by the hash of its state, in hexadecimal.
    Authorize {
        /// Whose.
        user: UserId,
        /// SHA-256 of the state.
        state_hash: String,
    },
    /// A confirmation that a user may use once.
    Confirmation {
        /// Whose.
        user: UserId,
        /// SHA-256 of the token and of all that it is bound to, in hexadecimal.
        hash: String,
    },
    /// A challenge to give a second factor.
    TwoFactor {
        /// Whose.
        user: UserId,
        /// Its name.
        id: String,
    },
    /// A flag of one socket: a second factor was given on it lately.
    StepUp {
        /// Whose.
        user: UserId,
        /// `<session>:<connection>`.
        of: String,
    },
}

/// A kind of challenge that belongs to a user. All of one user and kind are kept together, and are bounded in number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChallengeKind {
    /// [`ChallengeKey::Authorize`].
    Authorize,
    /// [`ChallengeKey::Confirmation`].
    Confirmation,
    /// [`ChallengeKey::TwoFactor`].
    TwoFactor,
    /// [`ChallengeKey::StepUp`].
    StepUp,
}

impl ChallengeKind {
    /// How many a user may have. Five authorizations are a promise of docs/protocol.md; the others lie above what the limits of
    /// commands let a user make within the life of one, so that no session can push out what another waits for.
    pub(crate) fn most(self) -> usize {
        match self {
            Self::Authorize => 5,
            Self::Confirmation => 256,
            Self::TwoFactor => 1_024,
            Self::StepUp => 64,
        }
    }
}

/// Where a challenge is among all.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// It belongs to no user: what it is, and its hash.
    Alone(&'static str, &'a str),
    /// Under this name among those of one user and kind.
    Owned(&'a UserId, ChallengeKind, &'a str),
}

impl ChallengeKey {
    pub(crate) fn place(&self) -> Place<'_> {
        match self {
            Self::State { hash } => Place::Alone("oauth", hash),
            Self::PendingLink { hash } => Place::Alone("link", hash),
            Self::Authorize { user, state_hash } => Place::Owned(user, ChallengeKind::Authorize, state_hash),
            Self::Confirmation { user, hash } => Place::Owned(user, ChallengeKind::Confirmation, hash),
            Self::TwoFactor { user, id } => Place::Owned(user, ChallengeKind::TwoFactor, id),
            Self::StepUp { user, of } => Place::Owned(user, ChallengeKind::StepUp, of),
        }
    }
}
