//! Hints: what spares a worker a question when a socket joins. The store knows; a hint that is missing costs one job.

use async_trait::async_trait;
use protocol::cluster::origin::Origin;
use protocol::id::UserId;

use crate::BusError;

/// What is known of users without asking the store. Whoever changes the store withdraws the hint that is no longer true before it
/// tells anyone of the change.
#[async_trait]
pub trait Hints: Send + Sync {
    /// What is known of a user, and of where a socket of theirs comes from.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn hint(&self, user: &UserId, from: &Origin) -> Result<Hint, BusError>;

    /// The store knows this device and this network of the user.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn mark_seen(&self, user: &UserId, from: &Origin) -> Result<(), BusError>;

    /// Whoever connects next is to be looked at by a worker, from wherever it comes.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: it may be noted still.
    async fn clear_seen(&self, user: &UserId) -> Result<(), BusError>;

    /// Someone is about to ask the store for open alerts, and calls this look by a name of its own.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn begin_alert_check(&self, user: &UserId, look: &str) -> Result<(), BusError>;

    /// That look found none. It counts only while nothing was raised, and no other look begun, since it began.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn mark_no_open_alerts(&self, user: &UserId, look: &str) -> Result<(), BusError>;

    /// An alert was raised.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the hint may be there still, and the alert must not be published yet.
    async fn clear_no_open_alerts(&self, user: &UserId) -> Result<(), BusError>;
}

/// What is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hint {
    /// The user was seen with this device and on this network.
    pub seen: bool,
    /// No alert waits to be acknowledged.
    pub no_open_alerts: bool,
}

/// How a set names the device that a socket comes from, and its network.
pub(crate) fn marks(from: &Origin) -> [String; 2] {
    [format!("d {}", from.device()), format!("n {}", from.network())]
}
