//! Codes that are sent by SMS or email: six digits, stored as an HMAC, valid for one challenge of one session.
//!
//! The challenge is stored before its code is sent, so that two concurrent commands send one message. It stays open when no message
//! can be sent, because a recovery code answers it too.

use std::time::Duration;

use bus::{Bucket, BusError, LimitDecision, Quota};
use lifecycle::Entropy;
use protocol::cluster::job::JobOutcome;
use protocol::id::{SessionId, UserId};
use protocol::secret::Secret;
use protocol::security::{FactorMethod, TwoFactorRequired};
use protocol::time::Timestamp;
use store::vault::Binding;
use store::{Factor, SecurityChange, SecurityDecision, SecurityEffect, SecurityRecord, SentCode};

use super::challenge::LIFETIME;
use super::message::{Message, SendError};
use super::step_up::StepUpError;
use super::{FactorService, factor_binding};
use crate::call::{Call, hex};

impl FactorService {
    /// Returns the open challenge of the caller's session, or opens one and sends its code.
    ///
    /// # Errors
    /// An error for an unsent code contains the challenge, which is open nevertheless.
    pub(super) async fn challenge_by_message(
        &self,
        call: &Call,
        factor: &Factor,
    ) -> Result<TwoFactorRequired, StepUpError> {
        let now = self.clock.now().into();
        if let Some(open) = open(factor, &call.session, now).filter(|open| open.code.is_some()) {
            return Ok(required(call, factor.method, open, now));
        }
        let address = self
            .vault
            .decrypt(&factor_binding(&call.user, factor.method), &factor.secret)?;
        let wait = self.admit_message(&call.user, &address).await?;
        let code = generate(&*self.entropy);
        let mac = self.sent_code_mac(&call.user, &code);
        let challenge = self.entropy.token();
        let put = |record: &SecurityRecord, now: Timestamp| {
            let new = SentCode {
                challenge: challenge.clone(),
                session: call.session.clone(),
                code: wait.is_none().then_some(mac),
                until: now.plus(LIFETIME),
            };
            Ok(with_challenge(record, factor.method, new, now))
        };
        self.store.decide_security(&call.user, &call.actor, &put).await?;

        let factor = self
            .store
            .security(&call.user)
            .await?
            .factor
            .ok_or(StepUpError::FactorChanged)?;
        let open = open(&factor, &call.session, now).ok_or(StepUpError::FactorChanged)?;
        let required = required(call, factor.method, open, now);
        if open.code == Some(mac) {
            let message = Message::with_code(&code, LIFETIME);
            if let Err(error) = self.send(factor.method, &address, &message).await {
                self.remove_unsent_code(call, mac).await?;
                return Err(StepUpError::Unsent(required, error));
            }
        }
        match wait {
            Some(wait) if open.code.is_none() => Err(StepUpError::TooManyMessages(required, wait)),
            _ => Ok(required),
        }
    }

    /// Counts a message against the limits of the user and of the address. `Some`: the time until one is admitted.
    pub(super) async fn admit_message(&self, user: &UserId, address: &Secret) -> Result<Option<Duration>, BusError> {
        let user_bucket = Bucket {
            name: "message",
            scope: None,
        };
        if let LimitDecision::Refused(wait) = self.limits.admit_attempt(user, &user_bucket, MESSAGES).await? {
            return Ok(Some(wait));
        }
        let address_bucket = Bucket {
            name: "message",
            scope: Some(hex(&self.vault.mac_without_user("message", address))),
        };
        Ok(
            match self.limits.admit_global_attempt(&address_bucket, MESSAGES).await? {
                LimitDecision::Refused(wait) => Some(wait),
                LimitDecision::Admitted => None,
            },
        )
    }

    pub(super) async fn send(
        &self,
        method: FactorMethod,
        address: &Secret,
        message: &Message,
    ) -> Result<(), SendError> {
        self.message_senders.send(method, address, message, &self.metrics).await
    }

    /// HMAC that is stored of a code sent to this user.
    pub(super) fn sent_code_mac(&self, user: &UserId, code: &Secret) -> [u8; 32] {
        self.vault.mac(&sent_binding(user), code)
    }

    /// HMACs of a presented code under every key of the vault, because the keys may have been rotated since the code was sent.
    pub(super) fn sent_code_macs(&self, user: &UserId, code: &Secret) -> Vec<[u8; 32]> {
        self.vault.macs(&sent_binding(user), code)
    }

    /// Removes a code that could not be sent. The next command sends another one for the same challenge.
    async fn remove_unsent_code(&self, call: &Call, mac: [u8; 32]) -> Result<(), StepUpError> {
        let remove = |record: &SecurityRecord, _| {
            let mut record = record.clone();
            let sent = record.factor.iter_mut().flat_map(|factor| &mut factor.sent);
            for unsent in sent.filter(|sent| sent.code == Some(mac)) {
                unsent.code = None;
            }
            Ok(change_without_answer(record))
        };
        self.store.decide_security(&call.user, &call.actor, &remove).await?;
        Ok(())
    }
}

/// Generates a code: six uniformly distributed digits.
pub(super) fn generate(entropy: &dyn Entropy) -> Secret {
    // The bias of the remainder of a 64-bit number is negligible.
    Secret::new(format!("{:06}", entropy.u64() % 1_000_000))
}

/// Open challenge of a session.
pub(super) fn open<'a>(factor: &'a Factor, session: &SessionId, now: Timestamp) -> Option<&'a SentCode> {
    factor
        .sent
        .iter()
        .find(|sent| sent.session == *session && now < sent.until)
}

/// Adds a challenge for a session that has none. Where the session has one whose code was not sent, replaces only the code.
fn with_challenge(record: &SecurityRecord, method: FactorMethod, new: SentCode, now: Timestamp) -> SecurityDecision {
    let leave = || SecurityDecision::Leave(JobOutcome::done());
    let Some(factor) = record.factor.as_ref().filter(|factor| factor.method == method) else {
        return leave();
    };
    let before = open(factor, &new.session, now);
    if before.is_some_and(|before| before.code.is_some()) {
        return leave();
    }
    let challenge = before.map_or(new.challenge, |before| before.challenge.clone());
    let others = factor
        .sent
        .iter()
        .filter(|sent| sent.session != new.session && now < sent.until);
    let mut sent: Vec<SentCode> = others.cloned().collect();
    sent.push(SentCode { challenge, ..new });
    let factor = Factor {
        sent: sent.split_off(sent.len().saturating_sub(MAX_OPEN)),
        ..factor.clone()
    };
    change_without_answer(SecurityRecord {
        factor: Some(factor),
        ..record.clone()
    })
}

/// Intermediate change of the record, for which no answer is stored.
fn change_without_answer(record: SecurityRecord) -> SecurityDecision {
    SecurityDecision::Change(Box::new(SecurityChange {
        record,
        events: Vec::new(),
        outcome: JobOutcome::done(),
        receipt: None,
        audit_events: Vec::new(),
        effect: SecurityEffect::Nothing,
    }))
}

fn required(call: &Call, method: FactorMethod, open: &SentCode, now: Timestamp) -> TwoFactorRequired {
    TwoFactorRequired {
        user_id: call.user.clone(),
        session_id: open.challenge.clone(),
        expires_in: open.until.since(now).as_secs(),
        method,
    }
}

fn sent_binding(user: &UserId) -> Binding<'_> {
    Binding {
        user,
        scope: "factor",
        column: "code",
    }
}

const MESSAGES: Quota = Quota {
    count: 3,
    period: Duration::from_secs(10 * 60),
};

/// Most open challenges of one user, one a session; a further one replaces the oldest.
const MAX_OPEN: usize = 16;

#[cfg(test)]
mod tests {
    use lifecycle::SeededEntropy;
    use store::vault::Ciphertext;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(0).plus(Duration::from_secs(seconds))
    }

    fn record(sent: Vec<SentCode>) -> SecurityRecord {
        SecurityRecord {
            factor: Some(Factor {
                method: FactorMethod::Sms,
                secret: Ciphertext::from_bytes(Vec::new()),
                last_step: 0,
                sent,
                failures: 0,
                last_failed: None,
                recovery_key: None,
                recovery_codes: Vec::new(),
                recovery_attempts: Vec::new(),
                lock: None,
            }),
            ..SecurityRecord::default()
        }
    }

    fn challenge(id: &str, session: &str, code: Option<u8>, until: u64) -> SentCode {
        SentCode {
            challenge: id.to_owned(),
            session: SessionId::new(session).unwrap(),
            code: code.map(|code| [code; 32]),
            until: at(until),
        }
    }

    /// Challenges that are open after another one was requested.
    fn after(record: &SecurityRecord, new: SentCode, now: u64) -> Vec<SentCode> {
        match with_challenge(record, FactorMethod::Sms, new, at(now)) {
            SecurityDecision::Leave(_) => record.factor.clone().unwrap().sent,
            SecurityDecision::Change(change) => change.record.factor.unwrap().sent,
        }
    }

    #[test]
    fn generated_codes_have_six_digits() {
        let entropy = SeededEntropy::new(7);
        for _ in 0..1_000 {
            let code = generate(&entropy);
            assert!(code.expose().len() == 6 && code.expose().bytes().all(|digit| digit.is_ascii_digit()));
        }
    }

    #[test]
    fn session_keeps_its_challenge_until_it_expires() {
        let first = challenge("first", "s", Some(1), 300);
        let one = after(&record(Vec::new()), first.clone(), 0);
        assert_eq!(one, std::slice::from_ref(&first));
        let again = challenge("again", "s", Some(2), 599);
        assert_eq!(
            after(&record(one.clone()), again.clone(), 299),
            std::slice::from_ref(&first)
        );
        assert_eq!(after(&record(one.clone()), again.clone(), 300), [again]);
        let other = challenge("other", "t", Some(3), 310);
        assert_eq!(after(&record(one), other.clone(), 10), [first, other]);
    }

    #[test]
    fn challenge_with_an_unsent_code_gets_a_new_code() {
        let unsent = record(vec![challenge("first", "s", None, 300)]);
        let open = after(&unsent, challenge("again", "s", Some(2), 310), 10);
        assert_eq!(open, [challenge("first", "s", Some(2), 310)]);
    }

    #[test]
    fn challenges_beyond_the_maximum_replace_the_oldest() {
        let mut sent = Vec::new();
        for number in 0..20 {
            let name = number.to_string();
            sent = after(&record(sent), challenge(&name, &name, Some(1), 300), 0);
        }
        assert_eq!(sent.len(), MAX_OPEN);
        assert_eq!(sent[0].challenge, "4");
    }
}
