//! `security:get_settings` and `security:update_settings`.

use std::time::Duration;

use bus::BusError;
use protocol::answer::Failure;
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::command::{Answer, GetSettingsAnswer, UpdateSettingsAnswer};
use protocol::fault::Fault;
use protocol::secret::Secret;
use protocol::security::{FactorMethod, SettingsChange};
use protocol::time::Timestamp;
use store::vault::VaultError;
use store::{AuditAction, Factor, SecurityDecision, SecurityOutcome, SecurityRecord, StoreError};

use super::enrolment::LIFETIME as ENROLMENT;
use super::message::{Message, SendError};
use super::settings_change::{FactorChange, InvalidSettingsChange, NewFactor};
use super::{
    FactorService, StepUp, audit_event, change, events, factor_binding, refuse, sent_code, signed_in_recently,
};
use crate::call::{Call, RecallError, Refusal, whole_seconds};

impl FactorService {
    pub(crate) async fn get_settings(&self, call: &Call) -> Result<JobOutcome, StoreError> {
        let settings = self.store.security(&call.user).await?.settings();
        Ok(JobOutcome::from(&Answer::GetSettings(GetSettingsAnswer { settings })))
    }

    pub(crate) async fn update_settings(
        &self,
        call: &Call,
        asked: &SettingsChange,
        step_up: StepUp,
    ) -> Result<JobOutcome, UpdateSettingsError> {
        if asked.session_timeout.is_some_and(|minutes| !MINUTES.contains(&minutes)) {
            return Err(UpdateSettingsError::Timeout);
        }
        let before = self.store.security(&call.user).await?;
        let method = asked.method.or(before.factor.as_ref().map(|factor| factor.method));
        let names_factor = asked.method.is_some() || asked.address.is_some();
        if names_factor
            && asked.two_factor_enabled != Some(false)
            && !method.is_none_or(|it| self.message_senders.offers(it))
        {
            return Err(UpdateSettingsError::NotOffered);
        }
        let factor_change = self.factor_change(call, asked, before.factor.as_ref())??;
        let sent = match &factor_change {
            FactorChange::Enrol(NewFactor::SentCodes { method, address }) if self.may_enrol(call, &before, step_up) => {
                Some(self.send_first_code(call, *method, address).await?)
            }
            _ => None,
        };
        let decide = |record: &SecurityRecord, now| self.decide(call, asked, step_up, sent, record, now);
        match self.store.decide_security(&call.user, &call.actor, &decide).await? {
            SecurityOutcome::Committed(outcome) => {
                if outcome.error.is_none() && matches!(factor_change, FactorChange::Disable) {
                    let old = before.factor.iter().map(|factor| (factor.method, &factor.secret));
                    self.notify_addresses(&call.user, old);
                }
                Ok(outcome)
            }
            SecurityOutcome::Repeated(answer) => Ok(call.recall(&answer)?),
        }
    }

    /// Change of the second factor that is requested. An address that already receives the codes needs no enrolment.
    fn factor_change(
        &self,
        call: &Call,
        asked: &SettingsChange,
        factor: Option<&Factor>,
    ) -> Result<Result<FactorChange, InvalidSettingsChange>, VaultError> {
        let change = FactorChange::of(asked, factor);
        if let (Ok(FactorChange::Enrol(NewFactor::SentCodes { method, address })), Some(factor)) = (&change, factor)
            && factor.method == *method
        {
            let current = self
                .vault
                .decrypt(&factor_binding(&call.user, *method), &factor.secret)?;
            if current.expose() == address.expose() {
                return Ok(Ok(FactorChange::None));
            }
        }
        Ok(change)
    }

    /// Reports whether a first code is sent; otherwise the decision, made under the row lock, refuses the enrolment.
    fn may_enrol(&self, call: &Call, before: &SecurityRecord, step_up: StepUp) -> bool {
        let is_stepped_up = before.factor.is_none() || step_up == StepUp::Given;
        is_stepped_up && signed_in_recently(call, self.clock.now().into())
    }

    /// Sends a code to an address that the user has to prove. Returns the HMAC of the code.
    async fn send_first_code(
        &self,
        call: &Call,
        method: FactorMethod,
        address: &Secret,
    ) -> Result<[u8; 32], UpdateSettingsError> {
        if let Some(wait) = self.admit_message(&call.user, address).await? {
            return Err(UpdateSettingsError::TooManyMessages(wait));
        }
        let code = sent_code::generate(&*self.entropy);
        self.send(method, address, &Message::with_code(&code, ENROLMENT))
            .await?;
        Ok(self.sent_code_mac(&call.user, &code))
    }

    /// Decides how the command changes the record.
    fn decide(
        &self,
        call: &Call,
        asked: &SettingsChange,
        step_up: StepUp,
        sent: Option<[u8; 32]>,
        before: &SecurityRecord,
        now: Timestamp,
    ) -> Result<SecurityDecision, VaultError> {
        let is_on = before.factor.is_some();
        if is_on && step_up == StepUp::NotNeeded {
            // The factor was turned on after the step-up check of this command.
            return Ok(refuse(call, ErrorCode::Conflict));
        }
        let mut record = before.clone();
        record.session_timeout = asked.session_timeout.unwrap_or(before.session_timeout);
        let (mut audit_events, mut events) = (Vec::new(), Vec::new());
        if record.session_timeout != before.session_timeout {
            let subject = format!("sessionTimeout {}", record.session_timeout);
            audit_events.push(audit_event(AuditAction::SettingsChanged, subject));
        }
        let mut enrolment = None;
        // `update_settings` refuses an invalid change; a change that is invalid only here conflicts with a concurrent one.
        let Ok(factor_change) = self.factor_change(call, asked, before.factor.as_ref())? else {
            return Ok(refuse(call, ErrorCode::Conflict));
        };
        match factor_change {
            FactorChange::None => {}
            FactorChange::Disable => {
                (record.factor, record.pending) = (None, None);
                if let Some(factor) = &before.factor {
                    audit_events.push(audit_event(AuditAction::FactorDisabled, factor.method.as_str()));
                    events.push(events::factor_changed(call, "The second factor was turned off.", now));
                }
            }
            FactorChange::Enrol(new) => {
                // A stolen session must not lock its owner out.
                if !signed_in_recently(call, now) {
                    return Ok(refuse(call, ErrorCode::ReauthRequired));
                }
                let Some((pending, started)) = self.enrol(call, &new, sent, now)? else {
                    return Ok(refuse(call, ErrorCode::Conflict));
                };
                audit_events.push(audit_event(AuditAction::FactorSetupStarted, pending.method.as_str()));
                record.pending = Some(pending);
                enrolment = Some(started);
            }
        }
        // An enrolment changes no setting before its first code.
        if enrolment.is_none() || record.session_timeout != before.session_timeout {
            events.insert(0, events::settings_updated(call, &record));
        }
        let settings = record.settings();
        let outcome = JobOutcome::from(&Answer::UpdateSettings(UpdateSettingsAnswer { settings, enrolment }));
        Ok(change(call, record, audit_events, events, outcome))
    }
}

/// Range of a session timeout, in minutes.
const MINUTES: std::ops::RangeInclusive<u32> = 1..=1_440;

/// Failure to change the settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpdateSettingsError {
    #[error("the session timeout is out of range")]
    Timeout,
    #[error("this method is not offered")]
    NotOffered,
    #[error(transparent)]
    Invalid(#[from] InvalidSettingsChange),
    #[error("too many codes were sent")]
    TooManyMessages(Duration),
    #[error("send the first code")]
    Unsent(#[from] SendError),
    #[error("count the message")]
    Bus(#[from] BusError),
    #[error("decrypt the address of the second factor")]
    Decrypt(#[from] VaultError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Recall(#[from] RecallError),
}

impl Fault for UpdateSettingsError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Timeout | Self::Invalid(_) => ErrorCode::BadRequest,
            Self::NotOffered => ErrorCode::NotSupported,
            Self::TooManyMessages(_) => ErrorCode::RateLimited,
            Self::Unsent(error) => error.code(),
            Self::Bus(error) => error.code(),
            Self::Decrypt(error) => error.code(),
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
            Self::Invalid(invalid) => Failure::with_message(self.code(), invalid.to_string()),
            Self::TooManyMessages(wait) => Failure {
                retry_after: Some(whole_seconds(*wait)),
                ..Failure::of(self.code())
            },
            _ => Failure::of(self.code()),
        }
    }
}
