//! Hints: cached facts of the store that spare a job when a socket joins. A missing hint costs one job.

use async_trait::async_trait;
use protocol::cluster::origin::Origin;
use protocol::id::UserId;

use crate::BusError;

/// Cached facts about users. A change of the store deletes the outdated hint before the change is published: of an alert,
/// [`crate::Events::publish`] does both.
#[async_trait]
pub trait Hints: Send + Sync {
    /// Reads the hints of a user and of a socket's origin.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn hint(&self, user: &UserId, from: &Origin) -> Result<Hint, BusError>;

    /// Records that the store knows this device and this network of the user.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn mark_seen(&self, user: &UserId, from: &Origin) -> Result<(), BusError>;

    /// Deletes the marks, so that a worker checks the next sign-in from any origin. A running check for open alerts is void, so that it
    /// does not restore them.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the marks may remain.
    async fn clear_seen(&self, user: &UserId) -> Result<(), BusError>;

    /// Records a starting check for open alerts, under a name that no other check of the user has.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn begin_alert_check(&self, user: &UserId, check: &str) -> Result<(), BusError>;

    /// Records that this check found none. Ignored if an alert was published, the marks were deleted, or another check started since.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn mark_no_open_alerts(&self, user: &UserId, check: &str) -> Result<(), BusError>;
}

/// Hints of a user and an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hint {
    /// True if the user was seen with this device and on this network.
    pub seen: bool,
    /// True if no alert is unacknowledged.
    pub no_open_alerts: bool,
}

/// Marks of a socket's device and network in the set.
pub(crate) fn marks(from: &Origin) -> [String; 2] {
    [format!("d {}", from.device()), format!("n {}", from.network())]
}
