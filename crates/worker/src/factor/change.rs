//! Change of the second factor by `security:update_settings`: prepared before its transaction, applied under the row lock.

use std::time::Duration;

use bus::BusError;
use protocol::answer::Failure;
use protocol::cluster::envelope::Envelope;
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::secret::Secret;
use protocol::security::{Enrolment, FactorMethod, SettingsChange};
use protocol::time::Timestamp;
use store::vault::VaultError;
use store::{AuditAction, AuditEvent, Factor, SecurityRecord};

use super::decision::audit_event;
use super::enrolment::LIFETIME as ENROLMENT;
use super::message::{Message, SendError};
use super::settings_change::{FactorChange, InvalidSettingsChange, NewFactor};
use super::{FactorService, StepUp, events, factor_binding, sent_code, signed_in_recently};
use crate::call::{Call, Refusal, whole_seconds};

/// Factor change that is checked and whose first code, if it needs one, is sent.
pub(crate) struct PreparedFactorChange {
    /// HMAC of the code that was sent to the new address.
    sent: Option<[u8; 32]>,
    disables: bool,
}

/// Factor change that is applied to a record, and not yet committed.
pub(crate) struct AppliedFactorChange {
    pub(crate) record: SecurityRecord,
    pub(crate) audit_events: Vec<AuditEvent>,
    pub(crate) alerts: Vec<Envelope>,
    pub(crate) enrolment: Option<Enrolment>,
}

impl FactorService {
    /// Checks what is requested of the second factor, and sends the first code to an address that is to be enrolled.
    pub(crate) async fn prepare_change(
        &self,
        call: &Call,
        payload: &SettingsChange,
        before: &SecurityRecord,
        step_up: StepUp,
    ) -> Result<PreparedFactorChange, FactorChangeError> {
        let method = payload.method.or(before.factor.as_ref().map(|factor| factor.method));
        let names_factor = payload.method.is_some() || payload.address.is_some();
        if names_factor
            && payload.two_factor_enabled != Some(false)
            && !method.is_none_or(|it| self.message_senders.offers(it))
        {
            return Err(FactorChangeError::NotOffered);
        }
        let change = self.factor_change(call, payload, before.factor.as_ref())??;
        let sent = match &change {
            FactorChange::Enrol(NewFactor::SentCodes { method, address }) if self.may_enrol(call, before, step_up) => {
                Some(self.send_first_code(call, *method, address).await?)
            }
            FactorChange::Enrol(_) | FactorChange::Disable | FactorChange::None => None,
        };
        Ok(PreparedFactorChange {
            sent,
            disables: matches!(change, FactorChange::Disable),
        })
    }

    /// Applies the change to the record that the transaction has locked, or returns the code that refuses the command.
    pub(crate) fn apply_change(
        &self,
        call: &Call,
        payload: &SettingsChange,
        prepared: &PreparedFactorChange,
        before: &SecurityRecord,
        now: Timestamp,
    ) -> Result<Result<AppliedFactorChange, ErrorCode>, VaultError> {
        let mut applied = AppliedFactorChange {
            record: before.clone(),
            audit_events: Vec::new(),
            alerts: Vec::new(),
            enrolment: None,
        };
        // `prepare_change` refuses an invalid change; a change that is invalid only here conflicts with a concurrent one.
        let Ok(change) = self.factor_change(call, payload, before.factor.as_ref())? else {
            return Ok(Err(ErrorCode::Conflict));
        };
        match change {
            FactorChange::None => {}
            FactorChange::Disable => {
                (applied.record.factor, applied.record.pending) = (None, None);
                if let Some(factor) = &before.factor {
                    let disabled = audit_event(AuditAction::FactorDisabled, factor.method.as_str());
                    applied.audit_events.push(disabled);
                    let alert = events::factor_changed(call, "The second factor was turned off.", now);
                    applied.alerts.push(alert);
                }
            }
            FactorChange::Enrol(new) => {
                // A stolen session must not lock its owner out.
                if !signed_in_recently(call, now) {
                    return Ok(Err(ErrorCode::ReauthRequired));
                }
                let Some((pending, enrolment)) = self.enrol(call, &new, prepared.sent, now)? else {
                    return Ok(Err(ErrorCode::Conflict));
                };
                let started = audit_event(AuditAction::FactorSetupStarted, pending.method.as_str());
                applied.audit_events.push(started);
                applied.record.pending = Some(pending);
                applied.enrolment = Some(enrolment);
            }
        }
        Ok(Ok(applied))
    }

    /// Notifies the address of a factor that the committed change has turned off.
    pub(crate) fn notify_change(&self, call: &Call, prepared: &PreparedFactorChange, before: &SecurityRecord) {
        if prepared.disables {
            let old = before.factor.iter().map(|factor| (factor.method, &factor.secret));
            self.notify_addresses(&call.user, old);
        }
    }

    /// Change of the second factor that is requested. An address that already receives the codes needs no enrolment.
    fn factor_change(
        &self,
        call: &Call,
        payload: &SettingsChange,
        factor: Option<&Factor>,
    ) -> Result<Result<FactorChange, InvalidSettingsChange>, VaultError> {
        let change = FactorChange::of(payload, factor);
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
    ) -> Result<[u8; 32], FactorChangeError> {
        if let Some(wait) = self.admit_message(&call.user, address).await? {
            return Err(FactorChangeError::TooManyMessages(wait));
        }
        let code = sent_code::generate(&*self.entropy);
        self.send(method, address, &Message::with_code(&code, ENROLMENT))
            .await?;
        Ok(self.sent_code_mac(&call.user, &code))
    }
}

/// Failure to change the second factor.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FactorChangeError {
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
}

impl Fault for FactorChangeError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::BadRequest,
            Self::NotOffered => ErrorCode::NotSupported,
            Self::TooManyMessages(_) => ErrorCode::RateLimited,
            Self::Unsent(error) => error.code(),
            Self::Bus(error) => error.code(),
            Self::Decrypt(error) => error.code(),
        }
    }
}

impl Refusal for FactorChangeError {
    fn failure(&self) -> Failure {
        match self {
            Self::Invalid(invalid) => Failure::with_message(self.code(), invalid.to_string()),
            Self::TooManyMessages(wait) => Failure {
                retry_after: Some(whole_seconds(*wait)),
                ..Failure::of(self.code())
            },
            _ => Failure::of(self.code()),
        }
    }
}
