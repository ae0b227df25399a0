//! Alerts as rows: read again when all that was sent is lost, and sent again until they are acknowledged.

use async_trait::async_trait;
use protocol::id::{AlertId, SessionId, UserId};
use protocol::security::Alert;
use protocol::time::Timestamp;

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
    /// [`StoreError::Unavailable`].
    async fn alerts(&self, user: &UserId, after: Option<&AlertId>) -> Result<Vec<Alert>, StoreError>;

    /// A user's alerts that require action and are not acknowledged, oldest first; the first page of them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn open_alerts(&self, user: &UserId) -> Result<Vec<Alert>, StoreError>;

    /// Acknowledges an alert. A session cannot acknowledge one that is about itself, nor a `suspicious_login` that was raised after
    /// it gave wrong second factors, unless it has given a right one since, or its user has signed in since. To do it again changes
    /// nothing, so of the receipt no answer is kept.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn acknowledge_alert(
        &self,
        user: &UserId,
        alert: &AlertId,
        by: &SignIn,
        receipt: &Receipt,
    ) -> Result<Acknowledged, StoreError>;
}

/// A session, and when its user signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Which session.
    pub session: SessionId,
    /// As far as its token says.
    pub at: Option<Timestamp>,
}

/// What became of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// The alert is acknowledged, now or before.
    Yes,
    /// The user has no such alert.
    Unknown,
    /// It is about the session that acknowledges it.
    OwnSession,
}
