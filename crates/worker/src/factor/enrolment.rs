//! A second factor is set up: its secret is handed over, and the first code shows that it arrived.

use std::time::Duration;

use protocol::answer::{self, Answer, Failure};
use protocol::cluster::job::Outcome;
use protocol::code::ErrorCode;
use protocol::command::VerifyTwoFactor;
use protocol::secret::Secret;
use protocol::security::{Enrolment, FactorMethod};
use protocol::time::Timestamp;
use store::vault::VaultError;
use store::{Act, Decision, Factor, PendingFactor, SecurityRecord};

use super::verify::session_end;
use super::{FactorService, change, deed, news, recovery, recovery_binding, secret_binding, totp};
use crate::jobs::Call;

impl FactorService {
    /// A factor that waits for its first code, and what its user needs to give it. An earlier one that waits is forgotten.
    pub(super) fn enrol(&self, call: &Call, now: Timestamp) -> Result<(PendingFactor, Enrolment), VaultError> {
        let secret = totp::generate(&*self.entropy);
        let handover = totp::handover(&secret, call.user.as_str())?;
        let pending = PendingFactor {
            method: FactorMethod::Totp,
            secret: self.vault.seal(&secret_binding(&call.user), &secret),
            code: None,
            challenge: self.entropy.token(),
            session: call.session.clone(),
            until: now.plus(LIFE),
        };
        let enrolment = Enrolment {
            session_id: pending.challenge.clone(),
            method: FactorMethod::Totp,
            expires_in: LIFE.as_secs(),
            secret: Some(secret),
            otpauth_url: Some(handover.url),
            qr_png: Some(handover.qr_png),
        };
        Ok((pending, enrolment))
    }

    /// Takes the first code: the factor is on, and its user has ten recovery codes.
    pub(super) fn confirm(
        &self,
        call: &Call,
        asked: &VerifyTwoFactor,
        record: &SecurityRecord,
        pending: &PendingFactor,
        now: Timestamp,
    ) -> Result<Decision, VaultError> {
        let secret = self.vault.open(&secret_binding(&call.user), &pending.secret)?;
        let Some(last_step) = totp::accepted_step(&secret, asked.token.expose(), now, None)? else {
            let outcome = Outcome::from(&call.complete(Failure::of(ErrorCode::TwoFactorInvalid)));
            let failed = vec![news::failed(call, 0, now)];
            return Ok(change(call, record.clone(), Vec::new(), failed, outcome));
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
            recovery_tried: Vec::new(),
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
        let outcome = Outcome::from(&Answer::Verified(answer::Verified {
            recovery_codes: Some(codes),
            ..session_end(&record, now)
        }));
        let deeds = vec![deed(Act::FactorOn, pending.method.as_str())];
        Ok(change(call, record, deeds, events, outcome))
    }
}

/// How long the first code is waited for.
const LIFE: Duration = Duration::from_secs(10 * 60);
