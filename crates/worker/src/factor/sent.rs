//! Codes that are sent: six digits, kept as their HMAC, good for one challenge of one session.
//!
//! A challenge is written before its code goes out, so that two commands at once send one message; it stays open where no message
//! could go out, because a recovery code answers it too.

use std::time::Duration;

use bus::{Bucket, BusError, LimitDecision, Quota};
use lifecycle::Entropy;
use protocol::answer::Answer;
use protocol::cluster::job::JobOutcome;
use protocol::id::{SessionId, UserId};
use protocol::secret::Secret;
use protocol::security::{FactorMethod, TwoFactorRequired};
use protocol::time::Timestamp;
use store::vault::Binding;
use store::{Factor, SecurityChange, SecurityDecision, SecurityEffect, SecurityRecord, SentCode};

use super::challenge::LIFE;
use super::courier::{Message, SendError};
use super::step_up::StepUpError;
use super::{FactorService, factor_binding};
use crate::call::{Call, hex};

impl FactorService {
    /// The open challenge of the caller's session, or a new one, whose code is sent.
    ///
    /// # Errors
    /// Where nothing is sent, the error names the challenge: it is open all the same.
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
        let wait = self.wait_for_message(&call.user, &address).await?;
        let code = generate(&*self.entropy);
        let mac = self.mac_of_sent(&call.user, &code);
        let challenge = self.entropy.token();
        let put = |record: &SecurityRecord, now: Timestamp| {
            let new = SentCode {
                challenge: challenge.clone(),
                session: call.session.clone(),
                code: wait.is_none().then_some(mac),
                until: now.plus(LIFE),
            };
            Ok(with_challenge(record, factor.method, new, now))
        };
        self.store.decide_security(&call.user, &call.actor, &put).await?;

        let factor = self
            .store
            .security(&call.user)
            .await?
            .factor
            .ok_or(StepUpError::Moved)?;
        let open = open(&factor, &call.session, now).ok_or(StepUpError::Moved)?;
        let required = required(call, factor.method, open, now);
        if open.code == Some(mac) {
            let message = Message::with_code(&code, LIFE);
            if let Err(error) = self.carry(factor.method, &address, &message).await {
                self.forget_sent(call, mac).await?;
                return Err(StepUpError::Unsent(required, error));
            }
        }
        match wait {
            Some(wait) if open.code.is_none() => Err(StepUpError::TooManyMessages(required, wait)),
            _ => Ok(required),
        }
    }

    /// How long to wait before another message; none: one may be sent, and is counted.
    pub(super) async fn wait_for_message(&self, user: &UserId, address: &Secret) -> Result<Option<Duration>, BusError> {
        let of_user = Bucket {
            name: "message",
            scope: None,
        };
        if let LimitDecision::Refused(wait) = self.limits.admit_attempt(user, &of_user, MESSAGES).await? {
            return Ok(Some(wait));
        }
        let of_address = Bucket {
            name: "message",
            scope: Some(hex(&self.vault.mac_without_user("message", address))),
        };
        Ok(match self.limits.admit_global_attempt(&of_address, MESSAGES).await? {
            LimitDecision::Refused(wait) => Some(wait),
            LimitDecision::Admitted => None,
        })
    }

    pub(super) async fn carry(
        &self,
        method: FactorMethod,
        address: &Secret,
        message: &Message,
    ) -> Result<(), SendError> {
        self.message_senders
            .carry(method, address, message, &self.metrics)
            .await
    }

    /// What is kept of a code that is sent to this user.
    pub(super) fn mac_of_sent(&self, user: &UserId, code: &Secret) -> [u8; 32] {
        self.vault.mac(&sent_binding(user), code)
    }

    /// What would be kept of this code, by each key that may have been the first when one was sent.
    pub(super) fn macs_of_sent(&self, user: &UserId, code: &Secret) -> Vec<[u8; 32]> {
        self.vault.macs(&sent_binding(user), code)
    }

    /// The code did not go out: the next command sends another one for the same challenge.
    async fn forget_sent(&self, call: &Call, mac: [u8; 32]) -> Result<(), StepUpError> {
        let forget = |record: &SecurityRecord, _| {
            let mut record = record.clone();
            let sent = record.factor.iter_mut().flat_map(|factor| &mut factor.sent);
            for unsent in sent.filter(|sent| sent.code == Some(mac)) {
                unsent.code = None;
            }
            Ok(unasked(record))
        };
        self.store.decide_security(&call.user, &call.actor, &forget).await?;
        Ok(())
    }
}

/// A new code: six digits, each as likely as any other.
pub(super) fn generate(entropy: &dyn Entropy) -> Secret {
    // What 64 bits have more of some remainders than of others is nothing that counts.
    Secret::new(format!("{:06}", entropy.u64() % 1_000_000))
}

/// The challenge of a session that is open.
pub(super) fn open<'a>(factor: &'a Factor, session: &SessionId, now: Timestamp) -> Option<&'a SentCode> {
    factor
        .sent
        .iter()
        .find(|sent| sent.session == *session && now < sent.until)
}

/// The record with a challenge for a session that has none, or whose code never went out: then only the code is new.
fn with_challenge(record: &SecurityRecord, method: FactorMethod, new: SentCode, now: Timestamp) -> SecurityDecision {
    let leave = || SecurityDecision::Leave(JobOutcome::from(&Answer::Acknowledged));
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
        sent: sent.split_off(sent.len().saturating_sub(MOST_OPEN)),
        ..factor.clone()
    };
    unasked(SecurityRecord {
        factor: Some(factor),
        ..record.clone()
    })
}

/// The record changes on the way to what was asked: no answer is kept of it.
fn unasked(record: SecurityRecord) -> SecurityDecision {
    SecurityDecision::SecurityChange(Box::new(SecurityChange {
        record,
        events: Vec::new(),
        outcome: JobOutcome::from(&Answer::Acknowledged),
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

/// Sessions of one user with an open challenge; beyond, the oldest one is over.
const MOST_OPEN: usize = 16;

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

    /// What is open after a challenge was asked for.
    fn after(record: &SecurityRecord, new: SentCode, now: u64) -> Vec<SentCode> {
        match with_challenge(record, FactorMethod::Sms, new, at(now)) {
            SecurityDecision::Leave(_) => record.factor.clone().unwrap().sent,
            SecurityDecision::SecurityChange(change) => change.record.factor.unwrap().sent,
        }
    }

    #[test]
    fn codes_have_six_digits() {
        let entropy = SeededEntropy::new(7);
        for _ in 0..1_000 {
            let code = generate(&entropy);
            assert!(code.expose().len() == 6 && code.expose().bytes().all(|digit| digit.is_ascii_digit()));
        }
    }

    #[test]
    fn a_session_has_one_challenge_until_that_is_over() {
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
    fn a_challenge_whose_code_did_not_go_out_gets_another_one() {
        let unsent = record(vec![challenge("first", "s", None, 300)]);
        let open = after(&unsent, challenge("again", "s", Some(2), 310), 10);
        assert_eq!(open, [challenge("first", "s", Some(2), 310)]);
    }

    #[test]
    fn no_more_challenges_are_kept_than_there_is_room_for() {
        let mut sent = Vec::new();
        for number in 0..20 {
            let name = number.to_string();
            sent = after(&record(sent), challenge(&name, &name, Some(1), 300), 0);
        }
        assert_eq!(sent.len(), MOST_OPEN);
        assert_eq!(sent[0].challenge, "4");
    }
}
