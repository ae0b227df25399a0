//! Stored alerts: `security:alerts`, `security:ack`, and alerts that the application's server publishes.

use std::sync::Arc;

use protocol::answer::Failure;
use protocol::cluster::job::{self, JobOutcome};
use protocol::code::ErrorCode;
use protocol::command::{Acknowledge, Alerts, AlertsAnswer, Answer};
use protocol::event::Notice;
use protocol::fault::Fault;
use protocol::security::Alert;
use store::{Acknowledged, AlertRequest, RaisedAlert, StoreError};

use super::SecurityService;
use crate::call::{Call, Refusal};
use crate::factor::StepUpError;

impl SecurityService {
    /// Lists a page of the user's alerts.
    pub(crate) async fn alerts(&self, call: &Call, payload: &Alerts) -> Result<JobOutcome, StoreError> {
        let alerts = self.alerts.alerts(&call.user, payload.after.as_ref()).await?;
        Ok(JobOutcome::from(&Answer::Alerts(AlertsAnswer { alerts })))
    }

    /// Marks an alert as acknowledged. Idempotent.
    pub(crate) async fn acknowledge(&self, call: &Call, payload: &Acknowledge) -> Result<JobOutcome, AcknowledgeError> {
        let receipt = call.receipt_without_answer();
        let acknowledged = self
            .alerts
            .acknowledge_alert(&call.user, &payload.alert_id, &call.sign_in(), &receipt)
            .await?;
        match acknowledged {
            Acknowledged::Yes => Ok(JobOutcome::done()),
            Acknowledged::Unknown => Err(AcknowledgeError::Unknown),
            Acknowledged::OwnSession => {
                // A second factor, where one is on, proves that the caller is the user.
                self.factor.challenge(call).await?;
                Err(AcknowledgeError::OwnSession)
            }
        }
    }

    /// Raises an alert that the application's server published. The answer means that it is stored and will reach the user's devices. With
    /// an idempotency key it has the alert that is stored, unless that is certainly this one: the gateway compares them.
    pub(crate) async fn raise_alert(&self, call: &Call, alert: &Alert) -> Result<JobOutcome, RaiseAlertError> {
        let alert = Alert {
            user_id: call.user.clone(),
            ..alert.clone()
        };
        let request = AlertRequest::new(alert.clone(), call.receipt_without_answer());
        match self.alert_queue.raise(call, request).await? {
            RaisedAlert::Publish(_) => return Ok(JobOutcome::done()),
            RaisedAlert::Relay => {}
            RaisedAlert::Alone => {
                let receipt = call.receipt_without_answer();
                self.alerts.raise_alert(&alert, &receipt).await?;
            }
        }
        let stored = match &call.idempotency {
            Some(_) => self.alerts.find_alert(&call.user, &alert.alert_id).await?,
            None => None,
        };
        self.relay.user(&call.user).await;
        Ok(JobOutcome::success(&job::RaisedAlert { stored }))
    }
}

/// Failure to raise an alert.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RaiseAlertError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Group(#[from] Arc<StoreError>),
}

impl Fault for RaiseAlertError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            Self::Group(error) => error.code(),
        }
    }
}

impl Refusal for RaiseAlertError {}

/// Failure to acknowledge an alert.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AcknowledgeError {
    #[error("the user has no such alert")]
    Unknown,
    #[error("the alert concerns the caller's session")]
    OwnSession,
    #[error(transparent)]
    StepUp(#[from] StepUpError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Fault for AcknowledgeError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown => ErrorCode::BadRequest,
            Self::OwnSession => ErrorCode::ReauthRequired,
            Self::StepUp(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}

impl Refusal for AcknowledgeError {
    fn failure(&self) -> Failure {
        match self {
            Self::Unknown => Failure::with_message(self.code(), "alertId: there is no such alert"),
            Self::OwnSession => Failure::with_message(
                self.code(),
                "This alert is about this session: sign in again, or acknowledge it in another session.",
            ),
            Self::StepUp(error) => error.failure(),
            Self::Store(_) => Failure::of(self.code()),
        }
    }

    fn notice(&self) -> Option<Notice> {
        match self {
            Self::StepUp(error) => error.notice(),
            Self::Unknown | Self::OwnSession | Self::Store(_) => None,
        }
    }
}
