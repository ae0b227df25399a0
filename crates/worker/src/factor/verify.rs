//! `security:verify_2fa`: a code answers a challenge, or completes an enrolment.

use bus::{BusError, SessionKey, SessionState};
use protocol::answer::{self, Answer, Failure};
use protocol::cluster::job::Outcome;
use protocol::code::ErrorCode;
use protocol::command::VerifyTwoFactor;
use protocol::fault::{Fault, chain};
use protocol::secret::Secret;
use protocol::security::FactorMethod;
use protocol::time::Timestamp;
use store::vault::VaultError;
use store::{Act, Decided, Decision, Factor, SecurityRecord, StoreError};

use super::check::{self, Checked};
use super::{FactorService, change, deed, factor_binding, news, recovery, recovery_binding, refuse, refuse_with, sent};
use crate::jobs::{Call, RecallError, Refusal, whole_seconds};

impl FactorService {
    pub(crate) async fn verify(&self, call: &Call, asked: &VerifyTwoFactor) -> Result<Outcome, VerifyError> {
        let is_open = self.challenges.is_open(call, &asked.session_id).await?;
        let before = self.store.security(&call.user).await?;
        let end = self.session_end(call).await?;
        let decide = |record: &SecurityRecord, now| self.judge(call, asked, (is_open, &end), record, now);
        match self.store.decide_security(&call.user, &call.actor, &decide).await? {
            Decided::Before(answer) => Ok(call.recall(&answer)?),
            Decided::Now(outcome) => {
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
        call: &Call,
        asked: &VerifyTwoFactor,
        (is_open, end): (bool, &answer::Verified),
        record: &SecurityRecord,
        now: Timestamp,
    ) -> Result<Decision, VaultError> {
        if let Some(pending) = &record.pending
            && pending.challenge == asked.session_id
            && pending.session == call.session
            && now < pending.until
        {
            return self.confirm(call, asked, (record, pending), end, now);
        }
        let is_open = |factor: &&Factor| match factor.method {
            FactorMethod::Totp => is_open,
            FactorMethod::Sms | FactorMethod::Email => {
                sent::open(factor, &call.session, now).is_some_and(|open| open.challenge == asked.session_id)
            }
        };
        let Some(factor) = record.factor.as_ref().filter(is_open) else {
            return Ok(refuse(call, ErrorCode::ChallengeExpired));
        };
        let with = |factor| SecurityRecord {
            factor: Some(factor),
            ..record.clone()
        };
        let recovery_code = recovery::read(&asked.token);
        let checked = match &recovery_code {
            Some(code) => self.check_recovery(call, code, factor, now)?,
            None => self.check(call, asked, factor, now)?,
        };
        Ok(match checked {
            Checked::Right(factor) => {
                let outcome = Outcome::from(&Answer::Verified(end.clone()));
                let by = if recovery_code.is_some() {
                    "recovery code"
                } else {
                    "code"
                };
                let deeds = vec![deed(Act::FactorGiven, format!("{} {by}", factor.method.as_str()))];
                let factor = check::without_challenge(factor, &asked.session_id);
                change(call, with(factor), deeds, Vec::new(), outcome)
            }
            Checked::Wrong(factor) => {
                let alert = news::failed(call, factor.failures, now);
                let outcome = Outcome::from(&call.complete(Failure::of(ErrorCode::TwoFactorInvalid)));
                change(call, with(factor), Vec::new(), vec![alert], outcome)
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

    fn check_recovery(
        &self,
        call: &Call,
        code: &Secret,
        factor: &Factor,
        now: Timestamp,
    ) -> Result<Checked, VaultError> {
        let place = recovery_binding(&call.user);
        let key = factor.recovery_key.as_ref();
        let mac = key.map(|key| self.vault.mac_under(key, &place, code)).transpose()?;
        Ok(check::recovery_code(factor, mac, now))
    }

    fn check(
        &self,
        call: &Call,
        asked: &VerifyTwoFactor,
        factor: &Factor,
        now: Timestamp,
    ) -> Result<Checked, VaultError> {
        match factor.method {
            FactorMethod::Totp => {
                let secret = self
                    .vault
                    .open(&factor_binding(&call.user, factor.method), &factor.secret)?;
                check::code(factor, &secret, asked.token.expose(), now)
            }
            FactorMethod::Sms | FactorMethod::Email => {
                let macs = self.macs_of_sent(&call.user, &asked.token);
                Ok(check::sent_code(factor, &asked.session_id, &macs, now))
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
        let states = self.sessions.poke(std::slice::from_ref(&session)).await?;
        let left = states.first().and_then(|state| match state {
            SessionState::Alive(alive) => Some(alive.left),
            SessionState::Ended | SessionState::Unknown => None,
        });
        let now = Timestamp::from(self.clock.now());
        Ok(answer::Verified {
            session_extended: left.is_some(),
            expires_at: now.plus(left.unwrap_or_default()),
            recovery_codes: None,
        })
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

/// Why no code was checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
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
            Self::Bus(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Recall(error) => error.code(),
        }
    }
}

impl Refusal for VerifyError {}
