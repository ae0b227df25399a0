//! Challenges: small values with a TTL of minutes, taken once.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::UserId;

use crate::BusError;

/// Short-lived values. A value that must never be taken twice is unique in Postgres too, as a failover may restore keys.
#[async_trait]
pub trait Challenges: Send + Sync {
    /// Stores a value for `ttl`, replacing one of the same key. Above the bound of the user's [`ChallengeKind`] the oldest is
    /// deleted, in the same step.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn put(&self, key: &ChallengeKey, value: &[u8], ttl: Duration) -> Result<(), BusError>;

    /// Reads a value.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn read(&self, key: &ChallengeKey) -> Result<Option<Vec<u8>>, BusError>;

    /// Reads and deletes a value: only one caller gets it.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the value may be deleted.
    async fn take(&self, key: &ChallengeKey) -> Result<Option<Vec<u8>>, BusError>;

    /// Reads all values of one kind of a user, in no particular order.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn read_all(&self, user: &UserId, kind: ChallengeKind) -> Result<Vec<Vec<u8>>, BusError>;

    /// Deletes all values of one kind of a user.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: they may be deleted.
    async fn delete_all(&self, user: &UserId, kind: ChallengeKind) -> Result<(), BusError>;
}

/// Key of a challenge.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ChallengeKey {
    /// Owner of an OAuth state, by the state's hash, in hexadecimal.
    State {
        /// SHA-256 of the state.
        hash: String,
    },
    /// Pending link ([`crate::PendingLink`]), by the hash of its page's token and its browser's cookie, in hexadecimal.
    PendingLink {
        /// SHA-256 of token, cookie and platform.
        hash: String,
    },
    /// Pending authorization ([`crate::PendingAuthorization`]), by the hash of its state, in hexadecimal.
    Authorize {
        /// Owner.
        user: UserId,
        /// SHA-256 of the state.
        state_hash: String,
    },
    /// Confirmation token of a user, for a single use.
    Confirmation {
        /// Owner.
        user: UserId,
        /// SHA-256 of the token and the values it is bound to, in hexadecimal.
        hash: String,
    },
    /// Second-factor challenge.
    TwoFactor {
        /// Owner.
        user: UserId,
        /// Id of the challenge.
        id: String,
    },
    /// Step-up flag of one socket: a second factor was given on it recently.
    StepUp {
        /// Owner.
        user: UserId,
        /// `<session>:<connection>`.
        of: String,
    },
}

/// Kind of challenge of a user. All challenges of one user and kind are stored together, with a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChallengeKind {
    /// Pending authorizations ([`ChallengeKey::Authorize`]).
    Authorize,
    /// Confirmation tokens ([`ChallengeKey::Confirmation`]).
    Confirmation,
    /// Second-factor challenges ([`ChallengeKey::TwoFactor`]).
    TwoFactor,
    /// Step-up flags ([`ChallengeKey::StepUp`]).
    StepUp,
}

impl ChallengeKind {
    /// All kinds.
    pub(crate) const ALL: [Self; 4] = [Self::Authorize, Self::Confirmation, Self::TwoFactor, Self::StepUp];

    /// Bound per user. docs/protocol.md promises five authorizations; the other bounds exceed what the rate limits let a user
    /// create within one TTL, so that no session can evict another's challenge.
    pub(crate) fn max_per_user(self) -> usize {
        match self {
            Self::Authorize => 5,
            Self::Confirmation => 256,
            Self::TwoFactor => 1_024,
            Self::StepUp => 64,
        }
    }
}

/// Location of a challenge in the storage.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ChallengeLocation<'a> {
    /// Challenge of no user, with its hash.
    Global(GlobalChallenge, &'a str),
    /// Challenge of one user and kind, with its name among them.
    PerUser(&'a UserId, ChallengeKind, &'a str),
}

/// Kind of challenge of no user.
#[derive(Debug, Clone, Copy)]
pub(crate) enum GlobalChallenge {
    /// [`ChallengeKey::State`].
    State,
    /// [`ChallengeKey::PendingLink`].
    PendingLink,
}

impl ChallengeKey {
    pub(crate) fn location(&self) -> ChallengeLocation<'_> {
        match self {
            Self::State { hash } => ChallengeLocation::Global(GlobalChallenge::State, hash),
            Self::PendingLink { hash } => ChallengeLocation::Global(GlobalChallenge::PendingLink, hash),
            Self::Authorize { user, state_hash } => {
                ChallengeLocation::PerUser(user, ChallengeKind::Authorize, state_hash)
            }
            Self::Confirmation { user, hash } => ChallengeLocation::PerUser(user, ChallengeKind::Confirmation, hash),
            Self::TwoFactor { user, id } => ChallengeLocation::PerUser(user, ChallengeKind::TwoFactor, id),
            Self::StepUp { user, of } => ChallengeLocation::PerUser(user, ChallengeKind::StepUp, of),
        }
    }
}
