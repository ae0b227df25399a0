//! Alerts as rows: read again when all that was sent is lost, and sent again until they are acknowledged.

use async_trait::async_trait;
use protocol::id::{AlertId, UserId};
use protocol::security::Alert;

use crate::StoreError;
use crate::answers::Receipt;

/// The alerts of the last 90 days. Every alert that a transaction publishes is a row of the same transaction, whoever writes
/// it: the stores see to that where they queue events.
#[async_trait]
pub trait Alerts: Send + Sync {
    /// Raises an alert: its row, its event to be published under the same name, and who raised it, in the audit log. One that
    /// this user has already is left as it is, and not published again. Of the receipt no answer is kept: none is needed.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn raise_alert(&self, alert: &Alert, receipt: &Receipt) -> Result<(), StoreError>;

    /// A user's alerts in the order in which they were raised, from the one behind `after` on; from the first, where that is
    /// none or unknown. A page of at most 100 alerts and about 64 KiB: the next one begins after its last.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    async fn alerts(&self, user: &UserId, after: Option<&AlertId>) -> Result<Vec<Alert>, StoreError>;

    /// A user's alerts that require action and are not acknowledged, oldest first; the first page of them.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    async fn open_alerts(&self, user: &UserId) -> Result<Vec<Alert>, StoreError>;

    /// Acknowledges an alert. False: this user has none of that name. To do it again changes nothing, so of the receipt no answer
    /// is kept.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn acknowledge_alert(&self, user: &UserId, alert: &AlertId, receipt: &Receipt) -> Result<bool, StoreError>;
}
