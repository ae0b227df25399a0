//! `security:get_settings` and `security:update_settings`.

use protocol::answer::{Answer, Failure, SettingsNow};
use protocol::cluster::job::Outcome;
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::security::{FactorMethod, SettingsChange};
use protocol::time::Timestamp;
use store::vault::VaultError;
use store::{Act, Decided, Decision, SecurityRecord, StoreError};

use super::{FactorService, StepUp, change, deed, news, refuse, signed_in_lately};
use crate::jobs::{Call, RecallError, Refusal};

impl FactorService {
    pub(crate) async fn get_settings(&self, call: &Call) -> Result<Outcome, StoreError> {
        let settings = self.store.security(&call.user).await?.settings();
        let enrolment = None;
        Ok(Outcome::from(&Answer::Settings(SettingsNow { settings, enrolment })))
    }

    pub(crate) async fn update_settings(
        &self,
        call: &Call,
        asked: &SettingsChange,
        step_up: StepUp,
    ) -> Result<Outcome, UpdateSettingsError> {
        if asked.session_timeout.is_some_and(|minutes| !MINUTES.contains(&minutes)) {
            return Err(UpdateSettingsError::Timeout);
        }
        // A code that is sent somewhere is not offered here, so neither is the address.
        let sent = matches!(asked.method, Some(FactorMethod::Sms | FactorMethod::Email));
        if sent || asked.address.is_some() {
            return Err(UpdateSettingsError::NotOffered);
        }
        let decide = |record: &SecurityRecord, now| self.decide(call, asked, step_up, record, now);
        match self.store.decide_security(&call.user, &decide).await? {
            Decided::Now(outcome) => Ok(outcome),
            Decided::Before(answer) => Ok(call.recall(&answer)?),
        }
    }

    /// What the settings become.
    fn decide(
        &self,
        call: &Call,
        asked: &SettingsChange,
        step_up: StepUp,
        before: &SecurityRecord,
        now: Timestamp,
    ) -> Result<Decision, VaultError> {
        let is_on = before.factor.is_some();
        if is_on && step_up == StepUp::NotNeeded {
            // It was turned on after this command was let pass.
            return Ok(refuse(call, ErrorCode::Conflict));
        }
        let mut record = before.clone();
        record.session_timeout = asked.session_timeout.unwrap_or(before.session_timeout);
        let (mut deeds, mut events) = (Vec::new(), Vec::new());
        if record.session_timeout != before.session_timeout {
            let about = format!("sessionTimeout {}", record.session_timeout);
            deeds.push(deed(Act::SettingsChanged, about));
        }
        let mut enrolment = None;
        match asked.two_factor_enabled {
            Some(true) if !is_on => {
                // A stolen session must not lock its owner out.
                if !signed_in_lately(call, now) {
                    return Ok(refuse(call, ErrorCode::ReauthRequired));
                }
                let (pending, begun) = self.enrol(call, now)?;
                deeds.push(deed(Act::FactorBegun, pending.method.as_str()));
                record.pending = Some(pending);
                enrolment = Some(begun);
            }
            Some(false) => {
                (record.factor, record.pending) = (None, None);
                if let Some(factor) = &before.factor {
                    deeds.push(deed(Act::FactorOff, factor.method.as_str()));
                    events.push(news::factor_changed(call, "The second factor was turned off.", now));
                }
            }
            Some(true) | None => {}
        }
        // To begin an enrolment changes no setting yet.
        if enrolment.is_none() || record.session_timeout != before.session_timeout {
            events.insert(0, news::settings_updated(call, &record));
        }
        let settings = record.settings();
        let outcome = Outcome::from(&Answer::SettingsUpdated(SettingsNow { settings, enrolment }));
        Ok(change(call, record, deeds, events, outcome))
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
    Store(#[from] StoreError),
    #[error(transparent)]
    Recall(#[from] RecallError),
}

impl Fault for UpdateSettingsError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Timeout => ErrorCode::BadRequest,
            Self::NotOffered => ErrorCode::NotSupported,
            Self::Store(error) => error.code(),
            Self::Recall(error) => error.code(),
        }
    }
}

impl Refusal for UpdateSettingsError {
    fn failure(&self) -> Failure {
        match self {
            Self::Timeout => Failure::saying(
                self.code(),
                "settings.sessionTimeout: a number of minutes from 1 to 1440 was expected",
            ),
            _ => Failure::of(self.code()),
        }
    }
}
