//! `security:verify_2fa`: a code answers a challenge, or completes an enrolment.

use std::time::Duration;

use bus::{Bucket, BusError, LimitDecision, Quota, SessionKey, SessionState, Share};
use protocol::answer::{self, Answer, Failure};
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::command::VerifyTwoFactor;
use protocol::fault::{Fault, chain};
use protocol::security::FactorMethod;
use protocol::time::Timestamp;
use store::vault::VaultError;
use store::{
    AuditAction, Factor, PendingFactor, SecurityDecision, SecurityEffect, SecurityOutcome, SecurityRecord, StoreError,
};

use super::check::{self, Checked};
use super::code::Code;
use super::recovery::{self, Trying};
use super::{
    FactorService, audit_event, change_with, factor_binding, news, recovery_binding, refuse, refuse_with, sent,
};
use crate::call::{Call, RecallError, Refusal, whole_seconds};

impl FactorService {
    /// Only what can be a code, for a challenge that is open to the caller's session, is an attempt: it is counted before it is
    /// looked at, right or wrong. What is no attempt costs the same whether the user has a second factor or not.
    pub(crate) async fn verify(&self, call: &Call, asked: &VerifyTwoFactor) -> Result<JobOutcome, VerifyError> {
        let code = Code::read(&asked.token).ok_or(VerifyError::NoCode)?;
        let is_open = self.challenges.is_open(call, &asked.session_id).await?;
        let before = self.store.security(&call.user).await?;
        let presented = Presented {
            call,
            challenge: &asked.session_id,
            is_open,
            code: &code,
        };
        if presented.answers(&before, self.clock.now().into()).is_none() {
            return Err(VerifyError::NoChallenge);
        }
        let is_shared = self.live.has_another(&call.user, &call.session).await?;
        self.count(call, is_shared).await?;
        let end = self.session_end(call).await?;
        let decide = |record: &SecurityRecord, now| self.judge(&presented, (&end, is_shared), record, now);
        match self.store.decide_security(&call.user, &call.actor, &decide).await? {
            SecurityOutcome::Repeated(answer) => Ok(call.recall(&answer)?),
            SecurityOutcome::Committed(outcome) => {
                if outcome.error.is_none() {
                    self.note(call, asked).await;
                    self.tell_of_confirmed(call, asked, &before);
                }
                Ok(outcome)
            }
        }
    }

    /// What the code does to the record.
    fn judge(
        &self,
        presented: &Presented<'_>,
        (end, is_shared): (&answer::Verified, bool),
        record: &SecurityRecord,
        now: Timestamp,
    ) -> Result<SecurityDecision, VaultError> {
        let call = presented.call;
        let factor = match presented.answers(record, now) {
            Some(Answered::Enrolment(pending)) => {
                return self.confirm(call, presented.code, (record, pending), end, now);
            }
            Some(Answered::Challenge(factor)) => factor,
            None => return Ok(refuse(call, ErrorCode::ChallengeExpired)),
        };
        let with = |factor| SecurityRecord {
            factor: Some(factor),
            ..record.clone()
        };
        Ok(match self.check(presented, factor, is_shared, now)? {
            Checked::Right(factor) => {
                let outcome = JobOutcome::from(&Answer::Verified(end.clone()));
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
            Checked::Wrong(factor) => {
                let alerts = vec![news::failed(call, factor.failures, now)];
                let outcome = JobOutcome::from(&call.complete(Failure::of(ErrorCode::TwoFactorInvalid)));
                let effect = SecurityEffect::Suspected(call.sign_in());
                change_with(call, with(factor), (Vec::new(), alerts), outcome, effect)
            }
            Checked::Wait(wait) => {
                let failure = Failure {
                    retry_after: Some(whole_seconds(wait)),
                    ..Failure::of(ErrorCode::RateLimited)
                };
                refuse_with(call, failure)
            }
            Checked::Locked => refuse(call, ErrorCode::TwoFactorLocked),
        })
    }

    fn check(
        &self,
        presented: &Presented<'_>,
        factor: &Factor,
        is_shared: bool,
        now: Timestamp,
    ) -> Result<Checked, VaultError> {
        let (user, session) = (&presented.call.user, &presented.call.session);
        match (presented.code, factor.method) {
            (Code::Recovery(code), _) => {
                let place = recovery_binding(user);
                let key = factor.recovery_key.as_ref();
                let mac = key.map(|key| self.vault.mac_under(key, &place, code)).transpose()?;
                let most = if is_shared { SHARE as usize } else { recovery::TRIES };
                Ok(check::recovery_code(factor, mac, Trying { session, most }, now))
            }
            (Code::Digits(code), FactorMethod::Totp) => {
                let secret = self
                    .vault
                    .decrypt(&factor_binding(user, factor.method), &factor.secret)?;
                check::code(factor, &secret, code.expose(), now)
            }
            (Code::Digits(code), FactorMethod::Sms | FactorMethod::Email) => {
                let macs = self.macs_of_sent(user, code);
                Ok(check::sent_code(factor, presented.challenge, &macs, now))
            }
        }
    }

    /// Where this was the first code of a new factor, the addresses of both hear of it.
    fn tell_of_confirmed(&self, call: &Call, asked: &VerifyTwoFactor, before: &SecurityRecord) {
        let confirmed = before.pending.as_ref();
        if let Some(pending) = confirmed.filter(|pending| pending.challenge == asked.session_id) {
            let old = before.factor.iter().map(|factor| (factor.method, &factor.secret));
            let means = old.chain([(pending.method, &pending.secret)]);
            self.tell_addresses(&call.user, means);
        }
    }

    /// When the caller's session ends. To give a second factor is activity, which the gateway has passed on before it sent the
    /// command; a session that Redis has lost meanwhile was not extended.
    async fn session_end(&self, call: &Call) -> Result<answer::Verified, BusError> {
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
        Ok(answer::Verified {
            session_extended: left.is_some(),
            expires_at: now.plus(left.unwrap_or_default()),
            recovery_codes: None,
        })
    }

    /// Takes one of the user's attempts. Where somebody else may need the others, one session gets no more than its share.
    async fn count(&self, call: &Call, is_shared: bool) -> Result<(), VerifyError> {
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

    /// Marks the socket. If that fails the code is spent all the same, and the client will be asked for the next one.
    async fn note(&self, call: &Call, asked: &VerifyTwoFactor) {
        if let Err(error) = self.challenges.met(call, &asked.session_id).await {
            tracing::warn!(
                error = chain(&error),
                "a second factor was given and could not be noted"
            );
        }
    }
}

/// Codes of one user, right or wrong.
const VERIFY: Bucket = Bucket {
    name: "verify_2fa",
    scope: None,
};
const ATTEMPTS: Quota = Quota {
    count: 5,
    period: Duration::from_secs(60),
};
/// As many of them, and of the tries of recovery codes, as one session gets while the user has another one that is alive: who guesses
/// in a stolen session leaves its owner two.
const SHARE: u32 = 3;

/// A code as it came.
struct Presented<'a> {
    call: &'a Call,
    challenge: &'a str,
    /// Whether the bus knows the challenge as one of the caller's session.
    is_open: bool,
    code: &'a Code,
}

/// What a code is for.
enum Answered<'a> {
    /// The first code of a factor that is being set up.
    Enrolment(&'a PendingFactor),
    /// A challenge of a factor that is on.
    Challenge(&'a Factor),
}

impl Presented<'_> {
    /// What is open to the caller's session under the challenge that it names.
    fn answers<'a>(&self, record: &'a SecurityRecord, now: Timestamp) -> Option<Answered<'a>> {
        let session = &self.call.session;
        let is_asked = |pending: &&PendingFactor| {
            pending.challenge == self.challenge && pending.session == *session && now < pending.until
        };
        if let Some(pending) = record.pending.as_ref().filter(is_asked) {
            return Some(Answered::Enrolment(pending));
        }
        let is_open = |factor: &&Factor| match factor.method {
            FactorMethod::Totp => self.is_open,
            FactorMethod::Sms | FactorMethod::Email => {
                sent::open(factor, session, now).is_some_and(|open| open.challenge == self.challenge)
            }
        };
        let factor = record.factor.as_ref().filter(is_open)?;
        Some(Answered::Challenge(factor))
    }
}

/// Why no code was checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error("the token cannot be a code")]
    NoCode,
    #[error("no such challenge is open to the session")]
    NoChallenge,
    #[error("too many codes were given")]
    TooMany(Duration),
    #[error("look for the challenge and the session")]
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
