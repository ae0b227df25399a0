//! Security alerts as rows: they outlive the event log in Redis and are delivered again until they are acknowledged.

use async_trait::async_trait;
use protocol::api::AlertState;
use protocol::cluster::envelope::Envelope;
use protocol::id::{AlertId, SessionId, UserId};
use protocol::security::Alert;
use protocol::time::Timestamp;
use telemetry::trace;

use crate::StoreError;
use crate::answers::Receipt;
use crate::outbox::{OutboxId, SentEvent};

/// Alerts of the last 90 days. Every transaction that publishes an alert also writes its row: the stores do this where they queue
/// events.
#[async_trait]
pub trait Alerts: Send + Sync {
    /// Raises an alert: its row, its event under the same id, and an audit row. An alert that the user already has is left
    /// unchanged and not published again. The call is idempotent, so the receipt's answer is not kept.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn raise_alert(&self, alert: &Alert, receipt: &Receipt) -> Result<(), StoreError>;

    /// Raises alerts of many users in one transaction, in their order, each as [`Alerts::raise_alert`] does, and marks events of earlier
    /// groups as sent. Commits nothing after the earliest deadline.
    ///
    /// # Errors
    /// [`StoreError`], of the whole group: one alert that cannot be stored fails all.
    async fn raise_alerts(&self, group: &[AlertRequest], sent: &[SentEvent]) -> Result<Vec<RaisedAlert>, StoreError>;

    /// Page of a user's alerts in the order in which they were raised, starting after `after`, or with the first alert if `after`
    /// is none or unknown. A page has at most 100 alerts and about 64 KiB; the next page starts after its last alert.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn alerts(&self, user: &UserId, after: Option<&AlertId>) -> Result<Vec<Alert>, StoreError>;

    /// First page of a user's alerts that require action and are not acknowledged, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn open_alerts(&self, user: &UserId) -> Result<Vec<Alert>, StoreError>;

    /// Alert with this id, as it was raised.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn find_alert(&self, user: &UserId, alert: &AlertId) -> Result<Option<Alert>, StoreError>;

    /// Newest alerts of a user that meet the query. It examines a bounded number of rows, however few of them meet the query.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn find_alerts(&self, user: &UserId, query: &AlertPageQuery) -> Result<FoundAlerts, StoreError>;

    /// Acknowledges an alert. A session cannot acknowledge an alert that concerns itself. After wrong second factors it cannot
    /// acknowledge a later `suspicious_login` either, until it gives a right one or its user signs in again. The call is
    /// idempotent, so the receipt's answer is not kept.
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

/// Selection of a user's alerts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertPageQuery {
    /// Only alerts of this state.
    pub state: Option<AlertState>,
    /// Number before which alerts are read: those after it were read before.
    pub before: Option<i64>,
    /// Most alerts to return.
    pub limit: u16,
}

/// Alerts that meet a query, the newest first. Together they have about 64 KiB, unless the first alone has more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundAlerts {
    /// The alerts.
    pub alerts: Vec<FoundAlert>,
    /// Number before which further alerts may meet the query; none at the end.
    pub next: Option<i64>,
}

/// Alert with its number and acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundAlert {
    /// Number of the alert, in the order in which alerts were raised.
    pub number: i64,
    /// The alert.
    pub alert: Alert,
    /// Time of the acknowledgement.
    pub acknowledged_at: Option<Timestamp>,
}

/// Alert to raise in a group.
#[derive(Debug, Clone)]
pub struct AlertRequest {
    alert: Alert,
    event: Envelope,
    receipt: Receipt,
}

impl AlertRequest {
    /// Request on behalf of the receipt's job. Its event continues the current trace.
    #[must_use]
    pub fn new(alert: Alert, receipt: Receipt) -> Self {
        let event = Envelope {
            traceparent: trace::current(),
            ..Envelope::of_alert(alert.clone())
        };
        Self { alert, event, receipt }
    }

    /// Alert with its user.
    #[must_use]
    pub fn alert(&self) -> &Alert {
        &self.alert
    }

    /// Event of the alert, as queued.
    #[must_use]
    pub fn event(&self) -> &Envelope {
        &self.event
    }

    /// Receipt of the job.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }
}

/// Result of raising one alert of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RaisedAlert {
    /// Committed, and every earlier event of the user is sent or in this group: the caller publishes the events of a user in the order
    /// of the group, up to the first that the bus refuses, and then reports them as sent.
    Publish(OutboxId),
    /// Committed, now or before, behind an event that is not sent: [`crate::Outbox::relay_user`] publishes it.
    Relay,
    /// Not committed: another transaction has the user's lock, or the group has the same alert before. [`Alerts::raise_alert`] raises it.
    Alone,
}

/// Session and the time of its sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// The session.
    pub session: SessionId,
    /// Time of sign-in, if the token states one.
    pub at: Option<Timestamp>,
}

/// Result of [`Alerts::acknowledge_alert`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// The alert is acknowledged, now or before.
    Yes,
    /// The user has no such alert.
    Unknown,
    /// The alert concerns the session that acknowledges it.
    OwnSession,
}
