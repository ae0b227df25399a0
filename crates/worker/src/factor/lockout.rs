//! When a code may be tried at all: wrong ones cost time, and in the end the factor.

use std::time::Duration;

use protocol::time::Timestamp;

/// Whether a code may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// It may.
    Open,
    /// Not before this long.
    Shut(Duration),
    /// Not until a recovery code or an operator opens it.
    Locked,
}

/// What so many wrong codes since the last right one, the last of them then, mean now.
pub(super) fn door(failures: u32, last_failed: Option<Timestamp>, now: Timestamp) -> Door {
    if failures >= LOCK_AT {
        return Door::Locked;
    }
    let Some(last_failed) = last_failed else {
        return Door::Open;
    };
    let wait = last_failed.plus(delay(failures)).since(now);
    if wait.is_zero() { Door::Open } else { Door::Shut(wait) }
}

/// From the tenth wrong code on: 30 s, doubled by each further one, an hour at most.
pub(super) fn delay(failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(DELAY_FROM) else {
        return Duration::ZERO;
    };
    let doubled = 2_u32
        .checked_pow(doublings)
        .map_or(LONGEST, |times| FIRST.saturating_mul(times));
    doubled.min(LONGEST)
}

/// Wrong codes until the first delay.
pub(super) const DELAY_FROM: u32 = 10;
/// Wrong codes until the lock.
pub(super) const LOCK_AT: u32 = 100;

const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_delay_doubles_from_the_tenth_failure_to_an_hour() {
        let seconds = |failures| delay(failures).as_secs();
        assert_eq!(
            [9, 10, 11, 12, 16, 17, 99, u32::MAX].map(seconds),
            [0, 30, 60, 120, 1_920, 3_600, 3_600, 3_600]
        );
    }

    proptest! {
        #[test]
        fn waiting_as_long_as_asked_opens_the_door_and_less_does_not(
            failures in 0..LOCK_AT,
            ago in 0..10_000_000_u64,
        ) {
            let last = Timestamp::from_millis(1_795_451_460_007);
            let now = last.plus(Duration::from_millis(ago));
            match door(failures, Some(last), now) {
                Door::Open => prop_assert!(now >= last.plus(delay(failures))),
                Door::Shut(wait) => {
                    prop_assert_eq!(door(failures, Some(last), now.plus(wait)), Door::Open);
                    let before = now.plus(wait - Duration::from_millis(1));
                    prop_assert_eq!(door(failures, Some(last), before), Door::Shut(Duration::from_millis(1)));
                }
                Door::Locked => prop_assert!(false, "locked too early"),
            }
        }

        #[test]
        fn no_time_opens_a_locked_door(failures in LOCK_AT.., at in any::<i64>()) {
            let at = Timestamp::from_millis(at);
            prop_assert_eq!(door(failures, Some(at), Timestamp::from_millis(i64::MAX)), Door::Locked);
        }
    }
}
