//! `security:get_settings` and `security:update_settings`.

use std::time::Duration;

use bus::BusError;
use protocol::answer::{Answer, Failure, SettingsNow};
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::secret::Secret;
use protocol::security::{FactorMethod, SettingsChange};
use protocol::time::Timestamp;
use store::vault::VaultError;
use store::{AuditAction, Factor, SecurityDecision, SecurityOutcome, SecurityRecord, StoreError};

use super::courier::{Message, SendError};
use super::enrolment::LIFE as ENROLMENT;
use super::wish::{InvalidSettingsChange, Means, Wish};
use super::{FactorService, StepUp, audit_event, change, factor_binding, news, refuse, sent, signed_in_lately};
use crate::call::{Call, RecallError, Refusal, whole_seconds};

impl FactorService {
    pub(crate) async fn get_settings(&self, call: &Call) -> Result<JobOutcome, StoreError> {
        let settings = self.store.security(&call.user).await?.settings();
        let enrolment = None;
        Ok(JobOutcome::from(&Answer::Settings(SettingsNow { settings, enrolment })))
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
        let names_means = asked.method.is_some() || asked.address.is_some();
        if names_means
            && asked.two_factor_enabled != Some(false)
            && !method.is_none_or(|it| self.message_senders.offer(it))
        {
            return Err(UpdateSettingsError::NotOffered);
        }
        let wish = self.wish(call, asked, before.factor.as_ref())??;
        let sent = match &wish {
            Wish::Begin(Means::Messages { method, address }) if self.may_begin(call, &before, step_up) => {
                Some(self.send_first_code(call, *method, address).await?)
            }
            _ => None,
        };
        let decide = |record: &SecurityRecord, now| self.decide(call, asked, step_up, sent, record, now);
        match self.store.decide_security(&call.user, &call.actor, &decide).await? {
            SecurityOutcome::Committed(outcome) => {
                if outcome.error.is_none() && matches!(wish, Wish::Off) {
                    let old = before.factor.iter().map(|factor| (factor.method, &factor.secret));
                    self.tell_addresses(&call.user, old);
                }
                Ok(outcome)
            }
            SecurityOutcome::Repeated(answer) => Ok(call.recall(&answer)?),
        }
    }

    /// What is asked of the second factor. Codes that already go to this address need no new beginning.
    fn wish(
        &self,
        call: &Call,
        asked: &SettingsChange,
        factor: Option<&Factor>,
    ) -> Result<Result<Wish, InvalidSettingsChange>, VaultError> {
        let wish = Wish::of(asked, factor);
        if let (Ok(Wish::Begin(Means::Messages { method, address })), Some(factor)) = (&wish, factor)
            && factor.method == *method
        {
            let current = self
                .vault
                .decrypt(&factor_binding(&call.user, *method), &factor.secret)?;
            if current.expose() == address.expose() {
                return Ok(Ok(Wish::Nothing));
            }
        }
        Ok(wish)
    }

    /// Whether a message is worth sending: the decision, under the lock, would refuse everybody else.
    fn may_begin(&self, call: &Call, before: &SecurityRecord, step_up: StepUp) -> bool {
        let is_let_pass = before.factor.is_none() || step_up == StepUp::Given;
        is_let_pass && signed_in_lately(call, self.clock.now().into())
    }

    /// Sends a code to an address that is to be shown to be the user's. Gives what is kept of it.
    async fn send_first_code(
        &self,
        call: &Call,
        method: FactorMethod,
        address: &Secret,
    ) -> Result<[u8; 32], UpdateSettingsError> {
        if let Some(wait) = self.wait_for_message(&call.user, address).await? {
            return Err(UpdateSettingsError::TooManyMessages(wait));
        }
        let code = sent::generate(&*self.entropy);
        self.carry(method, address, &Message::with_code(&code, ENROLMENT))
            .await?;
        Ok(self.mac_of_sent(&call.user, &code))
    }

    /// What the settings become.
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
            // It was turned on after this command was let pass.
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
        // What was invalid was refused before; what is so now became it meanwhile.
        let Ok(wish) = self.wish(call, asked, before.factor.as_ref())? else {
            return Ok(refuse(call, ErrorCode::Conflict));
        };
        match wish {
            Wish::Nothing => {}
            Wish::Off => {
                (record.factor, record.pending) = (None, None);
                if let Some(factor) = &before.factor {
                    audit_events.push(audit_event(AuditAction::FactorDisabled, factor.method.as_str()));
                    events.push(news::factor_changed(call, "The second factor was turned off.", now));
                }
            }
            Wish::Begin(means) => {
                // A stolen session must not lock its owner out.
                if !signed_in_lately(call, now) {
                    return Ok(refuse(call, ErrorCode::ReauthRequired));
                }
                let Some((pending, begun)) = self.enrol(call, &means, sent, now)? else {
                    return Ok(refuse(call, ErrorCode::Conflict));
                };
                audit_events.push(audit_event(AuditAction::FactorSetupStarted, pending.method.as_str()));
                record.pending = Some(pending);
                enrolment = Some(begun);
            }
        }
        // To begin an enrolment changes no setting yet.
        if enrolment.is_none() || record.session_timeout != before.session_timeout {
            events.insert(0, news::settings_updated(call, &record));
        }
        let settings = record.settings();
        let outcome = JobOutcome::from(&Answer::SettingsUpdated(SettingsNow { settings, enrolment }));
        Ok(change(call, record, audit_events, events, outcome))
    }
}

/// What a session timeout may be, in minutes.
const MINUTES: std::ops::RangeInclusive<u32> = 1..=1_440;

/// Why no setting was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpdateSettingsError {
    #[error("the session timeout is out of range")]
    Timeout,
    #[error("this method is not offered")]
    NotOffered,
    #[error(transparent)]
    Wish(#[from] InvalidSettingsChange),
    #[error("too many codes were sent")]
    TooManyMessages(Duration),
    #[error("send the first code")]
    Unsent(#[from] SendError),
    #[error("count messages")]
    Bus(#[from] BusError),
    #[error("open the address that codes are sent to")]
    Ciphertext(#[from] VaultError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Recall(#[from] RecallError),
}

impl Fault for UpdateSettingsError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Timeout | Self::Wish(_) => ErrorCode::BadRequest,
            Self::NotOffered => ErrorCode::NotSupported,
            Self::TooManyMessages(_) => ErrorCode::RateLimited,
            Self::Unsent(error) => error.code(),
            Self::Bus(error) => error.code(),
            Self::Ciphertext(error) => error.code(),
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
            Self::Wish(invalid) => Failure::with_message(self.code(), invalid.to_string()),
            Self::TooManyMessages(wait) => Failure {
                retry_after: Some(whole_seconds(*wait)),
                ..Failure::of(self.code())
            },
            _ => Failure::of(self.code()),
        }
    }
}
