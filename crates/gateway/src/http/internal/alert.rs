//! Publication of an alert, which a worker commits before it is published.

use lifecycle::KeyedLocks;
use protocol::cluster::job::{RaisedAlert, Work};
use protocol::code::ErrorCode;
use protocol::event::name;
use protocol::fault::Fault;
use protocol::id::{EventId, UserId};
use protocol::security::Alert;
use tokio::time::{Instant, timeout_at};

use super::Internal;
use super::call::Call;
use super::error::ApiError;
use crate::workers::Requester;

/// Alert that is ready to be raised.
pub(super) struct PreparedAlert {
    /// Id that the response has.
    pub(super) id: EventId,
    pub(super) alert: Alert,
    pub(super) key: Option<AlertKey>,
}

/// Idempotency key of an alert.
pub(super) struct AlertKey {
    pub(super) key: String,
    /// True if the time of the alert is that of the payload, and not of the request.
    pub(super) has_time: bool,
}

impl Internal {
    /// Bound of the alerts of a user that are with the workers: a flood of one user would fill the lane of all.
    pub(crate) fn alert_locks() -> KeyedLocks<UserId> {
        KeyedLocks::with_bound(MAX_ALERTS)
    }

    /// Has a worker commit an alert, and returns its id. An alert whose idempotency key was used with other content is refused.
    pub(super) async fn raise(
        &self,
        call: &Call<'_>,
        user: &UserId,
        prepared: PreparedAlert,
    ) -> Result<EventId, ApiError> {
        let PreparedAlert { id, alert, key } = prepared;
        let deadline = Instant::now() + self.job_timeout;
        let lock = timeout_at(deadline, self.alerts.lock(user)).await;
        let _lock = lock.map_err(|_elapsed| ApiError::Failed(ErrorCode::Unavailable))?;
        if key.is_some() {
            self.refuse_key_of_other_event(user, &id).await?;
        }
        let within = deadline.saturating_duration_since(Instant::now());
        let (key, has_time) = key.map(|key| (key.key, key.has_time)).unzip();
        let requester = Requester {
            idempotency_key: key,
            ..call.requester(user)
        };
        let raised = self
            .workers
            .request(requester, Work::RaiseAlert(alert.clone()), within)
            .await;
        let raised = raised.map_err(|error| ApiError::Failed(error.code()))?;
        // Without an answer the outcome is unknown: the alert may have been committed.
        let outcome = raised.ok_or(ApiError::Failed(ErrorCode::Unavailable))?;
        match outcome.error {
            None => {}
            Some(ErrorCode::Timeout) => return Err(ApiError::Failed(ErrorCode::Unavailable)),
            Some(code) => return Err(ApiError::Failed(code)),
        }
        // A worker of an earlier release answers nothing.
        let raised: RaisedAlert = outcome
            .data
            .read()
            .map_err(|_unreadable| ApiError::Failed(ErrorCode::Internal))?;
        if let (Some(stored), Some(has_time)) = (raised.stored, has_time)
            && !has_same_content(&stored, &alert, has_time)
        {
            return Err(ApiError::other_content());
        }
        self.metrics.published(name::ALERT);
        Ok(id)
    }

    /// Refuses a key under which an event of another kind was published: the alert would be taken for a repetition of it.
    async fn refuse_key_of_other_event(&self, user: &UserId, id: &EventId) -> Result<(), ApiError> {
        let compared = self.events.is_compared(user, id).await;
        let compared = self.outage.record("event search", compared);
        if compared.map_err(|error| ApiError::Failed(error.code()))? {
            return Err(ApiError::other_content());
        }
        Ok(())
    }
}

/// Compares what the application states of an alert.
fn has_same_content(stored: &Alert, alert: &Alert, has_time: bool) -> bool {
    let Alert {
        user_id,
        alert_id,
        severity,
        kind,
        message,
        timestamp,
        requires_action,
    } = alert;
    let has_same_time = !has_time || stored.timestamp == *timestamp;
    has_same_time
        && (&stored.user_id, &stored.alert_id, &stored.severity) == (user_id, alert_id, severity)
        && (&stored.kind, &stored.message, &stored.requires_action) == (kind, message, requires_action)
}

/// Alerts of one user that are with the workers at once; the others wait, until the timeout of a job.
const MAX_ALERTS: usize = 64;
