//! A second factor is set up: its secret is handed over, and the first code shows that it arrived.

use std::time::Duration;

use protocol::answer::{self, Answer, Failure};
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::secret::Secret;
use protocol::security::Enrolment;
use protocol::time::Timestamp;
use store::vault::VaultError;
use store::{AuditAction, Factor, PendingFactor, SecurityDecision, SecurityEffect, SecurityRecord};

use super::check;
use super::code::Code;
use super::wish::Means;
use super::{FactorService, audit_event, change_with, factor_binding, news, recovery, recovery_binding, totp};
use crate::call::Call;

impl FactorService {
    /// A factor that waits for its first code, and what its user needs to give it. An earlier one that waits is forgotten. `sent` is
    /// the HMAC of the code that went to an address; none: no code went there, and nothing can begin.
    pub(super) fn enrol(
        &self,
        call: &Call,
        means: &Means,
        sent: Option<[u8; 32]>,
        now: Timestamp,
    ) -> Result<Option<(PendingFactor, Enrolment)>, VaultError> {
        let method = means.method();
        let (secret, shown) = match (means, sent) {
            (Means::Authenticator, _) => {
                let secret = totp::generate(&*self.entropy);
                let handover = totp::handover(&secret, call.user.as_str())?;
                (secret, Some(handover))
            }
            (Means::Messages { address, .. }, Some(_)) => (address.clone(), None),
            (Means::Messages { .. }, None) => return Ok(None),
        };
        let pending = PendingFactor {
            method,
            secret: self.vault.encrypt(&factor_binding(&call.user, method), &secret),
            code: sent,
            challenge: self.entropy.token(),
            session: call.session.clone(),
            until: now.plus(LIFE),
        };
        let (otpauth_url, qr_png) = shown.map(|shown| (shown.url, shown.qr_png)).unzip();
        let enrolment = Enrolment {
            session_id: pending.challenge.clone(),
            method,
            expires_in: LIFE.as_secs(),
            secret: otpauth_url.is_some().then_some(secret),
            otpauth_url,
            qr_png,
        };
        Ok(Some((pending, enrolment)))
    }

    /// Takes the first code: the factor is on, and its user has ten recovery codes.
    pub(super) fn confirm(
        &self,
        call: &Call,
        code: &Code,
        (record, pending): (&SecurityRecord, &PendingFactor),
        end: &answer::Verified,
        now: Timestamp,
    ) -> Result<SecurityDecision, VaultError> {
        let Some(last_step) = self.first_step(call, code, pending, now)? else {
            let outcome = JobOutcome::from(&call.complete(Failure::of(ErrorCode::TwoFactorInvalid)));
            let failed = vec![news::failed(call, 0, now)];
            let effect = SecurityEffect::Suspected(call.sign_in());
            return Ok(change_with(call, record.clone(), (Vec::new(), failed), outcome, effect));
        };
        let codes: Vec<Secret> = (0..recovery::CODES)
            .map(|_| recovery::generate(&*self.entropy))
            .collect();
        let place = recovery_binding(&call.user);
        let recovery_key = self.vault.new_mac_key(&place);
        let meant = codes.iter().filter_map(recovery::read);
        let factor = Factor {
            method: pending.method,
            secret: pending.secret.clone(),
            last_step,
            sent: Vec::new(),
            failures: 0,
            last_failed: None,
            recovery_codes: meant
                .map(|code| self.vault.mac_under(&recovery_key, &place, &code))
                .collect::<Result<_, _>>()?,
            recovery_key: Some(recovery_key),
            recovery_attempts: Vec::new(),
        };
        // Whatever was begun without a second factor must not be finished without one.
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
            news::settings_updated(call, &record),
            news::factor_changed(call, "The second factor was turned on.", now),
        ];
        let outcome = JobOutcome::from(&Answer::Verified(answer::Verified {
            recovery_codes: Some(codes),
            ..end.clone()
        }));
        let audit_events = vec![audit_event(AuditAction::FactorEnabled, pending.method.as_str())];
        Ok(change_with(call, record, (audit_events, events), outcome, effect))
    }

    /// The time step of the first code, 0 where it was sent; none: it is wrong.
    fn first_step(
        &self,
        call: &Call,
        code: &Code,
        pending: &PendingFactor,
        now: Timestamp,
    ) -> Result<Option<i64>, VaultError> {
        let Code::Digits(code) = code else { return Ok(None) };
        if let Some(sent) = pending.code {
            let is_right = check::is_among(&sent, &self.macs_of_sent(&call.user, code));
            return Ok(is_right.then_some(0));
        }
        let secret = self
            .vault
            .decrypt(&factor_binding(&call.user, pending.method), &pending.secret)?;
        totp::accepted_step(&secret, code.expose(), now, None)
    }
}

/// How long the first code is waited for.
pub(super) const LIFE: Duration = Duration::from_secs(10 * 60);
