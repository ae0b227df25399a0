//! Events that are committed and still to be published.

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::id::UserId;

use crate::StoreError;

/// The outbox: rows are written by the transactions of the other roles, published in the order of their ids, one relay per
/// user at a time.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Hands a user's unsent events to `publisher`, oldest first, and marks each as sent once it has been taken. Stops at the
    /// first refusal; what is left stays unsent. When another relay of this user is at work, it waits for it.
    ///
    /// # Errors
    /// [`StoreError`]; an event may have been published and not marked, and will be published again.
    async fn relay_user(&self, user: &UserId, publisher: &dyn Publisher) -> Result<Relayed, StoreError>;

    /// Users with events unsent for more than a second: what a crash left behind. At most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn users_with_unsent_events(&self, limit: usize) -> Result<Vec<UserId>, StoreError>;

    /// Marks what was sent in the last five minutes as unsent, because Redis has lost what it held. Dedupe there drops what it
    /// still has.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn resend_recent(&self) -> Result<u64, StoreError>;
}

/// How far a relay came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relayed {
    /// How many events were taken.
    pub sent: u64,
    /// Whether the publisher refused and some are left.
    pub stopped: bool,
}

/// Where a relay hands events to.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Publishes one event; the same one may come twice.
    ///
    /// # Errors
    /// [`PublishError`] when it was not, or not surely, taken.
    async fn publish(&self, user: &UserId, event: &Envelope) -> Result<(), PublishError>;
}

/// An event was not taken. The publisher has reported why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event was not taken")]
pub struct PublishError;
