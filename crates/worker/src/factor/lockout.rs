//! Lockout after wrong codes: a growing delay, in the end a lock.

use std::time::Duration;

use protocol::time::Timestamp;

/// Restriction on the next code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lockout {
    /// A code may be tried.
    None,
    /// A code may be tried after this time.
    Delay(Duration),
    /// No code may be tried until a recovery code or an operator unlocks the factor.
    Locked,
}

/// Restriction after this number of wrong codes in a row, the last of them at `last_failed`.
pub(super) fn lockout(failures: u32, last_failed: Option<Timestamp>, now: Timestamp) -> Lockout {
    if failures >= LOCK_AT {
        return Lockout::Locked;
    }
    let Some(last_failed) = last_failed else {
        return Lockout::None;
    };
    let wait = last_failed.plus(delay(failures)).since(now);
    if wait.is_zero() {
        Lockout::None
    } else {
        Lockout::Delay(wait)
    }
}

/// Delay after wrong codes: 30 s from the tenth on, doubled by each further one, an hour at most.
pub(super) fn delay(failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(DELAY_FROM) else {
        return Duration::ZERO;
    };
    let doubled = 2_u32
        .checked_pow(doublings)
        .map_or(LONGEST_DELAY, |times| FIRST_DELAY.saturating_mul(times));
    doubled.min(LONGEST_DELAY)
}

/// Number of wrong codes until the first delay.
pub(super) const DELAY_FROM: u32 = 10;
/// Number of wrong codes until the lock.
pub(super) const LOCK_AT: u32 = 100;

const FIRST_DELAY: Duration = Duration::from_secs(30);
const LONGEST_DELAY: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn delay_doubles_from_the_tenth_failure_up_to_an_hour() {
        let seconds = |failures| delay(failures).as_secs();
        assert_eq!(
            [9, 10, 11, 12, 16, 17, 99, u32::MAX].map(seconds),
            [0, 30, 60, 120, 1_920, 3_600, 3_600, 3_600]
        );
    }

    proptest! {
        #[test]
        fn code_is_allowed_after_exactly_the_delay(
            failures in 0..LOCK_AT,
            ago in 0..10_000_000_u64,
        ) {
            let last = Timestamp::from_millis(1_795_451_460_007);
            let now = last.plus(Duration::from_millis(ago));
            match lockout(failures, Some(last), now) {
                Lockout::None => prop_assert!(now >= last.plus(delay(failures))),
                Lockout::Delay(wait) => {
                    prop_assert_eq!(lockout(failures, Some(last), now.plus(wait)), Lockout::None);
                    let before = now.plus(wait - Duration::from_millis(1));
                    prop_assert_eq!(lockout(failures, Some(last), before), Lockout::Delay(Duration::from_millis(1)));
                }
                Lockout::Locked => prop_assert!(false, "locked too early"),
            }
        }

        #[test]
        fn lock_does_not_expire(failures in LOCK_AT.., at in any::<i64>()) {
            let at = Timestamp::from_millis(at);
            prop_assert_eq!(lockout(failures, Some(at), Timestamp::from_millis(i64::MAX)), Lockout::Locked);
        }
    }
}
