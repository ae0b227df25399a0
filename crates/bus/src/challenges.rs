//! Challenges: small values that are kept for minutes and taken once.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::UserId;

use crate::BusError;

/// Short-lived values. What must never be taken twice is unique in Postgres too: a failover brings keys back.
#[async_trait]
pub trait Challenges: Send + Sync {
    /// Keeps a value for `ttl`, replacing one of the same key.
    ///
    /// # Errors
    /// [`BusError::Away`].
    async fn put(&self, key: &Key, value: &[u8], ttl: Duration) -> Result<(), BusError>;

    /// Reads a value and leaves it.
    ///
    /// # Errors
    /// [`BusError::Away`].
    async fn read(&self, key: &Key) -> Result<Option<Vec<u8>>, BusError>;

    /// Takes a value: it is gone for everyone else.
    ///
    /// # Errors
    /// [`BusError::Away`]: it may be gone.
    async fn take(&self, key: &Key) -> Result<Option<Vec<u8>>, BusError>;
}

/// Where a challenge is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// An authorization under way ([`crate::Begun`]), by the hash of its state, in hexadecimal.
    Authorize {
        /// SHA-256 of the state.
        state_hash: String,
    },
    /// A flag of one user and session: an authorization is open for this platform.
    OpenAuthorize {
        /// Whose.
        user: UserId,
        /// `<session>:<platform>`.
        of: String,
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
