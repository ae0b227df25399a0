//! Enrolment of a second factor: the user receives its secret and confirms it by the first code.

use std::time::Duration;

use protocol::answer::Failure;
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::command::{Answer, VerifyTwoFactorAnswer};
use protocol::secret::Secret;
use protocol::security::Enrolment;
use protocol::time::Timestamp;
use store::vault::VaultError;
use store::{AuditAction, Factor, PendingFactor, SecurityDecision, SecurityEffect, SecurityRecord};

use super::check;
use super::code::Code;
use super::decision::{audit_event, change_with};
use super::settings_change::NewFactor;
use super::{FactorService, events, factor_binding, recovery, recovery_binding, totp};
use crate::call::Call;

impl FactorService {
    /// Creates a pending factor, which replaces an earlier pending one, and the data that its user needs for the first code. `sent` is
    /// the HMAC of the code that was sent to the address; without it, a factor of sent codes cannot be set up (`None`).
    pub(super) fn enrol(
        &self,
        call: &Call,
        new: &NewFactor,
        sent: Option<[u8; 32]>,
        now: Timestamp,
    ) -> Result<Option<(PendingFactor, Enrolment)>, VaultError> {
        let method = new.method();
        let (secret, setup) = match (new, sent) {
            (NewFactor::Authenticator, _) => {
                let secret = totp::generate(&*self.entropy);
                let setup = totp::authenticator_setup(&secret, call.user.as_str())?;
                (secret, Some(setup))
            }
            (NewFactor::SentCodes { address, .. }, Some(_)) => (address.clone(), None),
            (NewFactor::SentCodes { .. }, None) => return Ok(None),
        };
        let pending = PendingFactor {
            method,
            secret: self.vault.encrypt(&factor_binding(&call.user, method), &secret),
            code: sent,
            challenge: self.entropy.token(),
            session: call.session.clone(),
            until: now.plus(LIFETIME),
        };
        let (otpauth_url, qr_png) = setup.map(|setup| (setup.url, setup.qr_png)).unzip();
        let enrolment = Enrolment {
            session_id: pending.challenge.clone(),
            method,
            expires_in: LIFETIME.as_secs(),
            secret: otpauth_url.is_some().then_some(secret),
            otpauth_url,
            qr_png,
        };
        Ok(Some((pending, enrolment)))
    }

    /// Checks the first code. If it is right, the factor is on, and the answer contains ten recovery codes.
    pub(super) fn confirm(
        &self,
        call: &Call,
        code: &Code,
        (record, pending): (&SecurityRecord, &PendingFactor),
        session_end: &VerifyTwoFactorAnswer,
        now: Timestamp,
    ) -> Result<SecurityDecision, VaultError> {
        let Some(last_step) = self.first_step(call, code, pending, now)? else {
            let outcome = JobOutcome::from(&call.complete(Failure::of(ErrorCode::TwoFactorInvalid)));
            let alerts = vec![events::wrong_code(call, 0, now)];
            let effect = SecurityEffect::Suspected(call.sign_in());
            return Ok(change_with(call, record.clone(), (Vec::new(), alerts), outcome, effect));
        };
        let codes: Vec<Secret> = (0..recovery::CODES)
            .map(|_| recovery::generate(&*self.entropy))
            .collect();
        let binding = recovery_binding(&call.user);
        let recovery_key = self.vault.new_mac_key(&binding);
        let normalized = codes.iter().filter_map(recovery::parse);
        let factor = Factor {
            method: pending.method,
            secret: pending.secret.clone(),
            last_step,
            sent: Vec::new(),
            failures: 0,
            last_failed: None,
            recovery_codes: normalized
                .map(|code| self.vault.mac_under(&recovery_key, &binding, &code))
                .collect::<Result<_, _>>()?,
            recovery_key: Some(recovery_key),
            recovery_attempts: Vec::new(),
            lock: None,
        };
        // An authorization that began without a second factor must not be completed without one.
        let effect = match record.factor {
            None => SecurityEffect::AuthorizationsEnd,
            Some(_) => SecurityEffect::Nothing,
        };
        let record = SecurityRecord {
            factor: Some(factor),
            pending: None,
            ..record.clone()
        };
        let events = vec![
            events::settings_updated(call, &record),
            events::factor_changed(call, "The second factor was turned on.", now),
        ];
        let outcome = JobOutcome::from(&Answer::VerifyTwoFactor(VerifyTwoFactorAnswer {
            recovery_codes: Some(codes),
            ..session_end.clone()
        }));
        let audit_events = vec![audit_event(AuditAction::FactorEnabled, pending.method.as_str())];
        Ok(change_with(call, record, (audit_events, events), outcome, effect))
    }

    /// Time step of the first code, 0 for a sent code; `None` if the code is wrong.
    fn first_step(
        &self,
        call: &Call,
        code: &Code,
        pending: &PendingFactor,
        now: Timestamp,
    ) -> Result<Option<i64>, VaultError> {
        let Code::Digits(code) = code else { return Ok(None) };
        if let Some(sent) = pending.code {
            let is_right = check::is_among(&sent, &self.sent_code_macs(&call.user, code));
            return Ok(is_right.then_some(0));
        }
        let secret = self
            .vault
            .decrypt(&factor_binding(&call.user, pending.method), &pending.secret)?;
        totp::accepted_step(&secret, code.expose(), now, None)
    }
}

/// Time within which the first code must arrive.
pub(super) const LIFETIME: Duration = Duration::from_secs(10 * 60);
