//! Whether a code is right, and what the factor is after it. Pure: the record, the code and the time are arguments.

use std::time::Duration;

use protocol::secret::Secret;
use protocol::time::Timestamp;
use store::Factor;
use store::vault::VaultError;
use subtle::{Choice, ConstantTimeEq as _};

use super::lockout::{Door, door};
use super::recovery::{self, Trying};
use super::totp;

/// What became of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Checked {
    /// Right.
    Right(Factor),
    /// Wrong, or used before.
    Wrong(Factor),
    /// Not looked at: too many were wrong. The next one is, after this long.
    Wait(Duration),
    /// Not looked at: the factor is locked.
    Locked,
}

/// Checks a code of the authenticator, whose secret is `secret`.
pub(super) fn code(factor: &Factor, secret: &Secret, code: &str, now: Timestamp) -> Result<Checked, VaultError> {
    if let Some(unlooked) = kept_out(factor, now) {
        return Ok(unlooked);
    }
    let step = totp::accepted_step(secret, code, now, Some(factor.last_step))?;
    Ok(match step {
        Some(last_step) => Checked::Right(Factor {
            last_step,
            failures: 0,
            last_failed: None,
            ..factor.clone()
        }),
        None => Checked::Wrong(failed(factor.clone(), now)),
    })
}

/// Checks a code that was sent for this challenge, by its HMAC under each key of the vault.
pub(super) fn sent_code(factor: &Factor, challenge: &str, macs: &[[u8; 32]], now: Timestamp) -> Checked {
    if let Some(unlooked) = kept_out(factor, now) {
        return unlooked;
    }
    let sent = factor.sent.iter().find(|sent| sent.challenge == challenge);
    let is_right = sent
        .and_then(|sent| sent.code)
        .is_some_and(|code| is_among(&code, macs));
    if !is_right {
        return Checked::Wrong(failed(factor.clone(), now));
    }
    Checked::Right(Factor {
        failures: 0,
        last_failed: None,
        ..factor.clone()
    })
}

/// The factor after this challenge was met: it is used up, with the code that was sent for it.
pub(super) fn without_challenge(mut factor: Factor, challenge: &str) -> Factor {
    factor.sent.retain(|sent| sent.challenge != challenge);
    factor
}

/// Why no code is looked at now.
fn kept_out(factor: &Factor, now: Timestamp) -> Option<Checked> {
    match door(factor.failures, factor.last_failed, now) {
        Door::Open => None,
        Door::Shut(wait) => Some(Checked::Wait(wait)),
        Door::Locked => Some(Checked::Locked),
    }
}

/// Checks a recovery code by its HMAC; none where no code was ever given out. It is looked at while a delay or a lock applies, ends
/// both, and is used up.
pub(super) fn recovery_code(factor: &Factor, mac: Option<[u8; 32]>, trying: Trying<'_>, now: Timestamp) -> Checked {
    let recovery_attempts = match recovery::count(&factor.recovery_attempts, trying, now) {
        Ok(tried) => tried,
        Err(wait) => return Checked::Wait(wait),
    };
    let mut factor = Factor {
        recovery_attempts,
        ..factor.clone()
    };
    let before = factor.recovery_codes.len();
    factor.recovery_codes.retain(|kept| !is_among(kept, mac.as_slice()));
    if factor.recovery_codes.len() == before {
        return Checked::Wrong(failed(factor, now));
    }
    Checked::Right(Factor {
        failures: 0,
        last_failed: None,
        ..factor
    })
}

/// Whether an HMAC is one of these. All are compared as a whole, whichever it is.
pub(super) fn is_among(kept: &[u8; 32], macs: &[[u8; 32]]) -> bool {
    let same = macs.iter().fold(Choice::from(0), |same, mac| same | mac.ct_eq(kept));
    same.into()
}

fn failed(factor: Factor, now: Timestamp) -> Factor {
    Factor {
        failures: factor.failures.saturating_add(1),
        last_failed: Some(now),
        ..factor
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::id::SessionId;
    use protocol::security::FactorMethod;
    use store::SentCode;
    use store::vault::Ciphertext;

    use super::*;
    use crate::factor::lockout::LOCK_AT;

    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn factor() -> Factor {
        Factor {
            method: FactorMethod::Totp,
            secret: Ciphertext::from_bytes(Vec::new()),
            last_step: 0,
            sent: Vec::new(),
            failures: 0,
            last_failed: None,
            recovery_key: None,
            recovery_codes: vec![[1; 32], [2; 32]],
            recovery_attempts: Vec::new(),
        }
    }

    fn trying(session: &SessionId) -> Trying<'_> {
        Trying {
            session,
            most: recovery::TRIES,
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_111_111_080_000).plus(Duration::from_secs(seconds))
    }

    fn check(factor: &Factor, token: &str, now: Timestamp) -> Checked {
        code(factor, &Secret::new(SECRET), token, now).unwrap()
    }

    #[test]
    fn the_right_code_forgets_the_failures_and_is_used_up() {
        let Checked::Wrong(failed) = check(&factor(), "000000", at(0)) else {
            panic!("a wrong code was right");
        };
        assert_eq!((failed.failures, failed.last_failed), (1, Some(at(0))));
        let Checked::Right(after) = check(&failed, "081804", at(1)) else {
            panic!("the right code was wrong");
        };
        assert_eq!((after.failures, after.last_failed), (0, None));
        assert!(matches!(check(&after, "081804", at(2)), Checked::Wrong(_)));
    }

    #[test]
    fn a_recovery_code_opens_a_locked_factor_once() {
        let session = SessionId::new("s").unwrap();
        let locked = Factor {
            failures: LOCK_AT,
            last_failed: Some(at(0)),
            ..factor()
        };
        assert_eq!(check(&locked, "081804", at(1)), Checked::Locked);
        let Checked::Right(open) = recovery_code(&locked, Some([2; 32]), trying(&session), at(1)) else {
            panic!("the recovery code was wrong");
        };
        assert_eq!((open.failures, &open.recovery_codes), (0, &vec![[1; 32]]));
        assert!(matches!(
            recovery_code(&open, Some([2; 32]), trying(&session), at(2)),
            Checked::Wrong(_)
        ));
    }

    #[test]
    fn a_sent_code_answers_its_own_challenge_once() {
        let sent = |challenge: &str, code| SentCode {
            challenge: challenge.to_owned(),
            session: SessionId::new("s").unwrap(),
            code,
            until: at(300),
        };
        let factor = Factor {
            method: FactorMethod::Sms,
            sent: vec![
                sent("one", Some([1; 32])),
                sent("two", Some([2; 32])),
                sent("none", None),
            ],
            ..factor()
        };
        let wrong = |factor: &Factor, challenge, macs: &[[u8; 32]]| matches!(sent_code(factor, challenge, macs, at(1)), Checked::Wrong(after) if after.failures == factor.failures + 1);
        assert!(
            wrong(&factor, "one", &[[2; 32]])
                && wrong(&factor, "none", &[[1; 32]])
                && wrong(&factor, "other", &[[1; 32]])
        );
        let Checked::Right(after) = sent_code(&factor, "one", &[[9; 32], [1; 32]], at(1)) else {
            panic!("the right code was wrong");
        };
        let after = without_challenge(after, "one");
        assert_eq!(after.sent.len(), 2);
        assert!(wrong(&after, "one", &[[1; 32]]));
        let locked = Factor {
            failures: LOCK_AT,
            last_failed: Some(at(0)),
            ..factor
        };
        assert_eq!(sent_code(&locked, "one", &[[1; 32]], at(1)), Checked::Locked);
    }

    proptest! {
        #[test]
        fn guessing_without_pause_is_looked_at_less_and_less(seconds in 1..100_000_u64) {
            let mut factor = factor();
            let mut looked_at = 0_u64;
            for second in 0..seconds {
                if let Checked::Wrong(after) = check(&factor, "000000", at(second)) {
                    factor = after;
                    looked_at += 1;
                }
            }
            // Ten at once, seven while the delay grows, then one an hour.
            prop_assert!(looked_at <= 10 + 7 + seconds / 3_600 + 1, "{looked_at} in {seconds} s");
        }
    }
}
