//! Check of a code, and the factor after it. Pure: the record, the code and the time are arguments.

use std::time::Duration;

use protocol::secret::Secret;
use protocol::time::Timestamp;
use store::Factor;
use store::vault::VaultError;
use subtle::{Choice, ConstantTimeEq as _};

use super::lockout::{Lockout, lockout};
use super::recovery::{self, SessionQuota};
use super::totp;

/// Result of checking a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CodeCheck {
    /// The code is right.
    Right(Factor),
    /// The code is wrong, or was used before.
    Wrong(Factor),
    /// The code was not checked, because too many were wrong. The next one is checked after this time.
    Delayed(Duration),
    /// The code was not checked, because the factor is locked.
    Locked,
}

/// Checks a code of the authenticator with this secret.
pub(super) fn code(factor: &Factor, secret: &Secret, code: &str, now: Timestamp) -> Result<CodeCheck, VaultError> {
    if let Some(unchecked) = not_allowed(factor, now) {
        return Ok(unchecked);
    }
    let step = totp::accepted_step(secret, code, now, Some(factor.last_step))?;
    Ok(match step {
        Some(last_step) => CodeCheck::Right(Factor {
            last_step,
            failures: 0,
            last_failed: None,
            ..factor.clone()
        }),
        None => CodeCheck::Wrong(failed(factor.clone(), now)),
    })
}

/// Checks a code that was sent for this challenge. `macs` are its HMACs, one under each key of the vault.
pub(super) fn sent_code(factor: &Factor, challenge: &str, macs: &[[u8; 32]], now: Timestamp) -> CodeCheck {
    if let Some(unchecked) = not_allowed(factor, now) {
        return unchecked;
    }
    let sent = factor.sent.iter().find(|sent| sent.challenge == challenge);
    let is_right = sent
        .and_then(|sent| sent.code)
        .is_some_and(|code| is_among(&code, macs));
    if !is_right {
        return CodeCheck::Wrong(failed(factor.clone(), now));
    }
    CodeCheck::Right(Factor {
        failures: 0,
        last_failed: None,
        ..factor.clone()
    })
}

/// Removes a challenge that was answered, and with it the code that was sent for it.
pub(super) fn without_challenge(mut factor: Factor, challenge: &str) -> Factor {
    factor.sent.retain(|sent| sent.challenge != challenge);
    factor
}

/// Result for any code while a delay or a lock applies.
fn not_allowed(factor: &Factor, now: Timestamp) -> Option<CodeCheck> {
    match lockout(factor.failures, factor.last_failed, now) {
        Lockout::None => None,
        Lockout::Delay(wait) => Some(CodeCheck::Delayed(wait)),
        Lockout::Locked => Some(CodeCheck::Locked),
    }
}

/// Checks a recovery code by its HMAC (`None` where the user never had recovery codes), also while a delay or a lock applies. A right
/// code ends both and is used up.
pub(super) fn recovery_code(
    factor: &Factor,
    mac: Option<[u8; 32]>,
    quota: SessionQuota<'_>,
    now: Timestamp,
) -> CodeCheck {
    let recovery_attempts = match recovery::count(&factor.recovery_attempts, quota, now) {
        Ok(tried) => tried,
        Err(wait) => return CodeCheck::Delayed(wait),
    };
    let mut factor = Factor {
        recovery_attempts,
        ..factor.clone()
    };
    let before = factor.recovery_codes.len();
    factor.recovery_codes.retain(|kept| !is_among(kept, mac.as_slice()));
    if factor.recovery_codes.len() == before {
        return CodeCheck::Wrong(failed(factor, now));
    }
    CodeCheck::Right(Factor {
        failures: 0,
        last_failed: None,
        ..factor
    })
}

/// Reports whether an HMAC is among these. Every one is compared in full, so that the time reveals nothing.
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
            lock: None,
        }
    }

    fn quota(session: &SessionId) -> SessionQuota<'_> {
        SessionQuota {
            session,
            limit: recovery::TRIES,
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_111_111_080_000).plus(Duration::from_secs(seconds))
    }

    fn check(factor: &Factor, token: &str, now: Timestamp) -> CodeCheck {
        code(factor, &Secret::new(SECRET), token, now).unwrap()
    }

    #[test]
    fn right_code_resets_failures_and_is_refused_the_second_time() {
        let CodeCheck::Wrong(failed) = check(&factor(), "000000", at(0)) else {
            panic!("a wrong code was accepted");
        };
        assert_eq!((failed.failures, failed.last_failed), (1, Some(at(0))));
        let CodeCheck::Right(after) = check(&failed, "081804", at(1)) else {
            panic!("the right code was refused");
        };
        assert_eq!((after.failures, after.last_failed), (0, None));
        assert!(matches!(check(&after, "081804", at(2)), CodeCheck::Wrong(_)));
    }

    #[test]
    fn recovery_code_unlocks_a_locked_factor_once() {
        let session = SessionId::new("s").unwrap();
        let locked = Factor {
            failures: LOCK_AT,
            last_failed: Some(at(0)),
            ..factor()
        };
        assert_eq!(check(&locked, "081804", at(1)), CodeCheck::Locked);
        let CodeCheck::Right(open) = recovery_code(&locked, Some([2; 32]), quota(&session), at(1)) else {
            panic!("the recovery code was refused");
        };
        assert_eq!((open.failures, &open.recovery_codes), (0, &vec![[1; 32]]));
        assert!(matches!(
            recovery_code(&open, Some([2; 32]), quota(&session), at(2)),
            CodeCheck::Wrong(_)
        ));
    }

    #[test]
    fn sent_code_is_accepted_once_for_its_own_challenge_only() {
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
        let wrong = |factor: &Factor, challenge, macs: &[[u8; 32]]| matches!(sent_code(factor, challenge, macs, at(1)), CodeCheck::Wrong(after) if after.failures == factor.failures + 1);
        assert!(
            wrong(&factor, "one", &[[2; 32]])
                && wrong(&factor, "none", &[[1; 32]])
                && wrong(&factor, "other", &[[1; 32]])
        );
        let CodeCheck::Right(after) = sent_code(&factor, "one", &[[9; 32], [1; 32]], at(1)) else {
            panic!("the right code was refused");
        };
        let after = without_challenge(after, "one");
        assert_eq!(after.sent.len(), 2);
        assert!(wrong(&after, "one", &[[1; 32]]));
        let locked = Factor {
            failures: LOCK_AT,
            last_failed: Some(at(0)),
            ..factor
        };
        assert_eq!(sent_code(&locked, "one", &[[1; 32]], at(1)), CodeCheck::Locked);
    }

    proptest! {
        #[test]
        fn continuous_guessing_is_slowed_down_to_one_checked_code_an_hour(seconds in 1..100_000_u64) {
            let mut factor = factor();
            let mut checked = 0_u64;
            for second in 0..seconds {
                if let CodeCheck::Wrong(after) = check(&factor, "000000", at(second)) {
                    factor = after;
                    checked += 1;
                }
            }
            // Ten at once, seven while the delay grows, then one an hour.
            prop_assert!(checked <= 10 + 7 + seconds / 3_600 + 1, "{checked} codes checked in {seconds} s");
        }
    }
}
