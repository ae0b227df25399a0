//! `security:get_settings` and `security:update_settings`.

use protocol::answer::Failure;
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::command::{Answer, GetSettingsAnswer, UpdateSettingsAnswer};
use protocol::fault::Fault;
use protocol::id::UserId;
use protocol::security::{MAX_SESSION_TIMEOUT, MIN_SESSION_TIMEOUT, SettingsChange};
use protocol::time::Timestamp;
use store::vault::VaultError;
use store::{AuditAction, SecurityDecision, SecurityOutcome, SecurityRecord, StoreError};

use super::SecurityService;
use crate::call::{Call, RecallError, Refusal};
use crate::factor::{FactorChangeError, PreparedFactorChange, StepUp, audit_event, change, refuse, settings_updated};

impl SecurityService {
    pub(crate) async fn get_settings(&self, call: &Call) -> Result<JobOutcome, StoreError> {
        let settings = self.records.security(&call.user).await?.settings();
        Ok(JobOutcome::from(&Answer::GetSettings(GetSettingsAnswer { settings })))
    }

    pub(crate) async fn update_settings(
        &self,
        call: &Call,
        payload: &SettingsChange,
        step_up: StepUp,
    ) -> Result<JobOutcome, UpdateSettingsError> {
        if payload
            .session_timeout
            .is_some_and(|minutes| !MINUTES.contains(&minutes))
        {
            return Err(UpdateSettingsError::Timeout);
        }
        let before = self.records.security(&call.user).await?;
        let prepared = self.factor.prepare_change(call, payload, &before, step_up).await?;
        let decide = |record: &SecurityRecord, now| self.decide(call, (payload, &prepared), step_up, record, now);
        match self.records.decide_security(&call.user, &call.actor, &decide).await? {
            SecurityOutcome::Committed(outcome) => {
                if outcome.error.is_none() {
                    self.factor.notify_change(call, &prepared, &before);
                }
                Ok(outcome)
            }
            SecurityOutcome::Repeated(answer) => Ok(call.recall(&answer)?),
        }
    }

    /// Decides how the command changes the record.
    fn decide(
        &self,
        call: &Call,
        (payload, prepared): (&SettingsChange, &PreparedFactorChange),
        step_up: StepUp,
        before: &SecurityRecord,
        now: Timestamp,
    ) -> Result<SecurityDecision, VaultError> {
        if before.factor.is_some() && step_up == StepUp::NotNeeded {
            // The factor was turned on after the step-up check of this command.
            return Ok(refuse(call, ErrorCode::Conflict));
        }
        if before
            .factor
            .as_ref()
            .is_some_and(|factor| factor.lock_at(now).is_some())
        {
            // The factor was locked after the step-up check of this command.
            return Ok(refuse(call, ErrorCode::TwoFactorLocked));
        }
        let applied = match self.factor.apply_change(call, payload, prepared, before, now)? {
            Ok(applied) => applied,
            Err(code) => return Ok(refuse(call, code)),
        };
        let (mut record, mut audit_events, mut events) = (applied.record, applied.audit_events, applied.alerts);
        record.session_timeout = payload.session_timeout.unwrap_or(before.session_timeout);
        let changes_timeout = record.session_timeout != before.session_timeout;
        if changes_timeout {
            let subject = format!("sessionTimeout {}", record.session_timeout);
            audit_events.insert(0, audit_event(AuditAction::SettingsChanged, subject));
        }
        // An enrolment changes no setting before its first code.
        if applied.enrolment.is_none() || changes_timeout {
            events.insert(0, settings_updated(call, &record));
        }
        let (settings, enrolment) = (record.settings(), applied.enrolment);
        let outcome = JobOutcome::from(&Answer::UpdateSettings(UpdateSettingsAnswer { settings, enrolment }));
        Ok(change(call, record, audit_events, events, outcome))
    }

    /// Applies the stored session timeout to live sessions after an `update_settings` that may have committed one. Idempotent.
    pub(crate) async fn apply_session_timeout(&self, user: &UserId, payload: &SettingsChange) {
        if payload.session_timeout.is_some() {
            self.session.apply_timeout(user).await;
        }
    }
}

/// Range of a session timeout, in minutes.
const MINUTES: std::ops::RangeInclusive<u32> = MIN_SESSION_TIMEOUT..=MAX_SESSION_TIMEOUT;

/// Failure to change the settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpdateSettingsError {
    #[error("the session timeout is out of range")]
    Timeout,
    #[error(transparent)]
    Factor(#[from] FactorChangeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Recall(#[from] RecallError),
}

impl Fault for UpdateSettingsError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Timeout => ErrorCode::BadRequest,
            Self::Factor(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Recall(error) => error.code(),
        }
    }
}

impl Refusal for UpdateSettingsError {
    fn failure(&self) -> Failure {
        match self {
            Self::Timeout => Failure::with_message(
                self.code(),
                "settings.sessionTimeout: a number of minutes from 1 to 1440 was expected",
            ),
            Self::Factor(error) => error.failure(),
            Self::Store(_) | Self::Recall(_) => Failure::of(self.code()),
        }
    }
}
