//! Delay before a webhook is sent again: the schedule that Standard Webhooks gives as its example, with jitter.

use std::time::Duration;

use lifecycle::Entropy;
use store::{APP_WEBHOOK_TRIES, NextTry};

/// Consequence of a failed try that follows `tries` others. The receiver may ask for a longer wait than the schedule has.
pub(super) fn next_try(tries: u32, asked: Option<Duration>, entropy: &dyn Entropy) -> NextTry {
    let Some(delay) = usize::try_from(tries).ok().and_then(|tries| DELAYS.get(tries)) else {
        return NextTry::Never;
    };
    let chance = f64::from(u32::from_le_bytes(entropy.bytes())) / f64::from(u32::MAX);
    let delay = delay.mul_f64(0.8 + 0.4 * chance);
    NextTry::After(delay.max(asked.unwrap_or_default().min(LONGEST_ASKED)))
}

/// Delays after each failed try but the last: three days in all.
const DELAYS: [Duration; APP_WEBHOOK_TRIES as usize - 1] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];

/// Longest wait that the receiver can ask for.
const LONGEST_ASKED: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use lifecycle::SeededEntropy;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn delay_is_a_fifth_around_the_schedule_or_what_the_receiver_asks_for(seed: u64, tries in 0_u32..20, asked in 0_u64..200_000) {
            let entropy = SeededEntropy::new(seed);
            let asked = Duration::from_secs(asked);
            match next_try(tries, Some(asked), &entropy) {
                NextTry::Never => prop_assert!(tries + 1 >= APP_WEBHOOK_TRIES),
                NextTry::After(delay) => {
                    let scheduled = DELAYS[tries as usize];
                    prop_assert!(delay >= scheduled.mul_f64(0.8) && delay >= asked.min(LONGEST_ASKED), "{delay:?}");
                    prop_assert!(delay <= scheduled.mul_f64(1.2001).max(asked.min(LONGEST_ASKED)), "{delay:?}");
                }
            }
        }
    }

    #[test]
    fn schedule_spans_three_days() {
        let all: Duration = DELAYS.iter().sum();
        assert!(
            (Duration::from_hours(72)..Duration::from_hours(96)).contains(&all),
            "{all:?}"
        );
    }
}
