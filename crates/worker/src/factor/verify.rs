//! `security:verify_2fa`: checks a code for a challenge, or completes an enrolment.

use std::time::Duration;

use bus::{Bucket, BusError, LimitDecision, Quota, SessionKey, SessionState, Share};
use protocol::answer::Failure;
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::command::{Answer, VerifyTwoFactor, VerifyTwoFactorAnswer};
use protocol::expiry::Expiry;
use protocol::fault::{Fault, chain};
use protocol::security::FactorMethod;
use protocol::time::Timestamp;
use store::vault::VaultError;
use store::{
    AuditAction, Factor, PendingFactor, SecurityDecision, SecurityEffect, SecurityOutcome, SecurityRecord, StoreError,
};

use super::check::{self, CodeCheck};
use super::code::Code;
use super::decision::{audit_event, change_with, refuse, refuse_with};
use super::recovery::{self, SessionQuota};
use super::{FactorService, events, factor_binding, recovery_binding, sent_code};
use crate::call::{Call, RecallError, Refusal, whole_seconds};

impl FactorService {
    /// Checks a code. A well-formed code for a challenge that is open to the caller's session is an attempt and is counted before it is
    /// checked, right or wrong. Other requests are refused alike whether or not the user has a second factor.
    pub(crate) async fn verify(&self, call: &Call, payload: &VerifyTwoFactor) -> Result<JobOutcome, VerifyError> {
        let code = Code::parse(&payload.token).ok_or(VerifyError::NoCode)?;
        let is_open = self.challenges.is_open(call, &payload.session_id).await?;
        let before = self.store.security(&call.user).await?;
        let presented = PresentedCode {
            call,
            challenge: &payload.session_id,
            is_open,
            code: &code,
        };
        if presented.target(&before, self.clock.now().into()).is_none() {
            return Err(VerifyError::NoChallenge);
        }
        let is_shared = self.live.has_another(&call.user, &call.session).await?;
        self.admit_attempt(call, is_shared).await?;
        let end = self.session_end(call).await?;
        let decide = |record: &SecurityRecord, now| self.decide_code(&presented, (&end, is_shared), record, now);
        match self.store.decide_security(&call.user, &call.actor, &decide).await? {
            SecurityOutcome::Repeated(answer) => Ok(call.recall(&answer)?),
            SecurityOutcome::Committed(outcome) => {
                if outcome.error.is_none() {
                    self.mark_socket(call, payload).await;
                    self.notify_of_enrolment(call, payload, &before);
                }
                Ok(outcome)
            }
        }
    }

    /// Decides how the code changes the record.
    fn decide_code(
        &self,
        presented: &PresentedCode<'_>,
        (end, is_shared): (&VerifyTwoFactorAnswer, bool),
        record: &SecurityRecord,
        now: Timestamp,
    ) -> Result<SecurityDecision, VaultError> {
        let call = presented.call;
        let target = presented.target(record, now);
        // A new factor must not replace the locked one either.
        if target.is_some()
            && record
                .factor
                .as_ref()
                .is_some_and(|factor| factor.lock_at(now).is_some())
        {
            return Ok(refuse(call, ErrorCode::TwoFactorLocked));
        }
        let factor = match target {
            Some(CodeTarget::Enrolment(pending)) => {
                return self.confirm(call, presented.code, (record, pending), end, now);
            }
            Some(CodeTarget::Challenge(factor)) => factor,
            None => return Ok(refuse(call, ErrorCode::ChallengeExpired)),
        };
        let with = |factor| SecurityRecord {
            factor: Some(factor),
            ..record.clone()
        };
        Ok(match self.check(presented, factor, is_shared, now)? {
            CodeCheck::Right(factor) => {
                let outcome = JobOutcome::from(&Answer::VerifyTwoFactor(end.clone()));
                let by = match presented.code {
                    Code::Recovery(_) => "recovery code",
                    Code::Digits(_) => "code",
                };
                let audit_events = vec![audit_event(
                    AuditAction::FactorVerified,
                    format!("{} {by}", factor.method.as_str()),
                )];
                let factor = check::without_challenge(factor, presented.challenge);
                let effect = SecurityEffect::Cleared(call.session.clone());
                change_with(call, with(factor), (audit_events, Vec::new()), outcome, effect)
            }
            CodeCheck::Wrong(factor) => {
                let alerts = vec![events::wrong_code(call, factor.failures, now)];
                let outcome = JobOutcome::from(&call.complete(Failure::of(ErrorCode::TwoFactorInvalid)));
                let effect = SecurityEffect::Suspected(call.sign_in());
                change_with(call, with(factor), (Vec::new(), alerts), outcome, effect)
            }
            CodeCheck::Delayed(wait) => {
                let failure = Failure {
                    retry_after: Some(whole_seconds(wait)),
                    ..Failure::of(ErrorCode::RateLimited)
                };
                refuse_with(call, failure)
            }
            CodeCheck::Locked => refuse(call, ErrorCode::TwoFactorLocked),
        })
    }

    fn check(
        &self,
        presented: &PresentedCode<'_>,
        factor: &Factor,
        is_shared: bool,
        now: Timestamp,
    ) -> Result<CodeCheck, VaultError> {
        let (user, session) = (&presented.call.user, &presented.call.session);
        match (presented.code, factor.method) {
            (Code::Recovery(code), _) => {
                let binding = recovery_binding(user);
                let key = factor.recovery_key.as_ref();
                let mac = key.map(|key| self.vault.mac_under(key, &binding, code)).transpose()?;
                let limit = if is_shared { SHARE as usize } else { recovery::TRIES };
                Ok(check::recovery_code(factor, mac, SessionQuota { session, limit }, now))
            }
            (Code::Digits(code), FactorMethod::Totp) => {
                let secret = self
                    .vault
                    .decrypt(&factor_binding(user, factor.method), &factor.secret)?;
                check::code(factor, &secret, code.expose(), now)
            }
            (Code::Digits(code), FactorMethod::Sms | FactorMethod::Email) => {
                let macs = self.sent_code_macs(user, code);
                Ok(check::sent_code(factor, presented.challenge, &macs, now))
            }
        }
    }

    /// Notifies the addresses of the new factor and of the old one, if the code completed an enrolment.
    fn notify_of_enrolment(&self, call: &Call, payload: &VerifyTwoFactor, before: &SecurityRecord) {
        let confirmed = before.pending.as_ref();
        if let Some(pending) = confirmed.filter(|pending| pending.challenge == payload.session_id) {
            let old = before.factor.iter().map(|factor| (factor.method, &factor.secret));
            let addresses = old.chain([(pending.method, &pending.secret)]);
            self.notify_addresses(&call.user, addresses);
        }
    }

    /// Expiry of the caller's session, for the answer. The command is activity, for which the gateway renewed the session before it sent
    /// the job; a session that Redis has lost since then was not extended.
    async fn session_end(&self, call: &Call) -> Result<VerifyTwoFactorAnswer, BusError> {
        let session = SessionKey {
            user: call.user.clone(),
            session: call.session.clone(),
        };
        let states = self.sessions.check_ttl(std::slice::from_ref(&session)).await?;
        let left = states.first().and_then(|state| match state {
            SessionState::Alive(alive) => Some(alive.left),
            SessionState::Ending(_) | SessionState::Ended | SessionState::Unknown => None,
        });
        let now = Timestamp::from(self.clock.now());
        let expiry = Expiry::new(now.plus(left.unwrap_or_default()), call.token_expires_at);
        Ok(VerifyTwoFactorAnswer {
            session_extended: left.is_some(),
            expiry,
            reason: expiry.limit(),
            server_time: now,
            recovery_codes: None,
        })
    }

    /// Counts one of the user's attempts. While the user has another live session, one session gets no more than its share.
    async fn admit_attempt(&self, call: &Call, is_shared: bool) -> Result<(), VerifyError> {
        let share = Share {
            member: call.session.as_str(),
            most: if is_shared { SHARE } else { ATTEMPTS.count },
        };
        match self
            .limits
            .admit_shared_attempt(&call.user, &VERIFY, ATTEMPTS, &share)
            .await?
        {
            LimitDecision::Admitted => Ok(()),
            LimitDecision::Refused(wait) => Err(VerifyError::TooMany(wait)),
        }
    }

    /// Marks the socket. If that fails, the code is used up nevertheless, and the next sensitive command opens another challenge.
    async fn mark_socket(&self, call: &Call, payload: &VerifyTwoFactor) {
        if let Err(error) = self.challenges.complete(call, &payload.session_id).await {
            tracing::warn!(
                error = chain(&error),
                "second factor verified, but its socket not marked"
            );
        }
    }
}

/// Bucket of one user's codes, right or wrong.
const VERIFY: Bucket = Bucket {
    name: "verify_2fa",
    scope: None,
};
const ATTEMPTS: Quota = Quota {
    count: 5,
    period: Duration::from_secs(60),
};
/// Share of one session in the attempts, and in the attempts with recovery codes, while the user has another live session: guesses in
/// a stolen session leave the owner two.
const SHARE: u32 = 3;

/// Code with the challenge that it was presented for.
struct PresentedCode<'a> {
    call: &'a Call,
    challenge: &'a str,
    /// True if the bus has this challenge for the caller's session.
    is_open: bool,
    code: &'a Code,
}

/// Purpose of a presented code.
enum CodeTarget<'a> {
    /// Enrolment: this is the first code of a pending factor.
    Enrolment(&'a PendingFactor),
    /// Challenge of the factor that is on.
    Challenge(&'a Factor),
}

impl PresentedCode<'_> {
    /// Enrolment or factor whose challenge is open to the caller's session under the presented id.
    fn target<'a>(&self, record: &'a SecurityRecord, now: Timestamp) -> Option<CodeTarget<'a>> {
        let session = &self.call.session;
        let is_presented = |pending: &&PendingFactor| {
            pending.challenge == self.challenge && pending.session == *session && now < pending.until
        };
        if let Some(pending) = record.pending.as_ref().filter(is_presented) {
            return Some(CodeTarget::Enrolment(pending));
        }
        let is_open = |factor: &&Factor| match factor.method {
            FactorMethod::Totp => self.is_open,
            FactorMethod::Sms | FactorMethod::Email => {
                sent_code::open(factor, session, now).is_some_and(|open| open.challenge == self.challenge)
            }
        };
        let factor = record.factor.as_ref().filter(is_open)?;
        Some(CodeTarget::Challenge(factor))
    }
}

/// Failure before a code was checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error("the token is not a code")]
    NoCode,
    #[error("no such challenge is open to the session")]
    NoChallenge,
    #[error("too many codes were tried")]
    TooMany(Duration),
    #[error("look up the challenge and the session")]
    Bus(#[from] BusError),
    #[error("verify the code")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Recall(#[from] RecallError),
}

impl Fault for VerifyError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoCode => ErrorCode::BadRequest,
            Self::NoChallenge => ErrorCode::ChallengeExpired,
            Self::TooMany(_) => ErrorCode::RateLimited,
            Self::Bus(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Recall(error) => error.code(),
        }
    }
}

impl Refusal for VerifyError {
    fn failure(&self) -> Failure {
        match self {
            Self::NoCode => Failure::with_message(self.code(), "token: six digits or a recovery code were expected"),
            Self::TooMany(wait) => Failure {
                retry_after: Some(whole_seconds(*wait)),
                ..Failure::of(self.code())
            },
            _ => Failure::of(self.code()),
        }
    }
}
