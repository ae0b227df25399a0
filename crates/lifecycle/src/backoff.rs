//! Backoff before a retry: exponential and jittered, so that many nodes do not retry at the same time.

use std::time::Duration;

use crate::Entropy;

/// Delays of one retry loop.
///
/// Each delay is drawn uniformly between the first one and a ceiling, and the ceiling doubles with every draw up to the cap: the
/// 'full jitter' of Brooker's *Exponential Backoff And Jitter*, but never close to zero.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// Delays of at least `first` and at most `cap`; a cap below `first` counts as `first`.
    #[must_use]
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self {
            first,
            cap: cap.max(first),
            ceiling: first,
        }
    }

    /// Draws the next delay.
    pub fn next(&mut self, entropy: &dyn Entropy) -> Duration {
        self.ceiling = self.ceiling.saturating_mul(2).min(self.cap);
        let spread = self.ceiling.saturating_sub(self.first);
        let fraction = f64::from(u32::from_le_bytes(entropy.bytes())) / f64::from(u32::MAX);
        (self.first + spread.mul_f64(fraction)).min(self.ceiling)
    }

    /// Resets the ceiling after a success.
    pub fn reset(&mut self) {
        self.ceiling = self.first;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::SeededEntropy;

    proptest! {
        #[test]
        fn delay_lies_between_the_first_and_the_doubling_ceiling(
            seed: u64, first in 1u64..10_000, cap in 1u64..100_000, tries in 1u32..40,
        ) {
            let (first, cap) = (Duration::from_millis(first), Duration::from_millis(cap));
            let entropy = SeededEntropy::new(seed);
            let mut backoff = Backoff::new(first, cap);
            for doublings in 1..=tries {
                let ceiling = first.saturating_mul(2u32.saturating_pow(doublings)).min(cap.max(first));
                let wait = backoff.next(&entropy);
                prop_assert!(first <= wait && wait <= ceiling, "{first:?} <= {wait:?} <= {ceiling:?}");
            }
        }
    }

    #[test]
    fn delays_of_two_nodes_differ() {
        let first_wait =
            |seed| Backoff::new(Duration::from_millis(100), Duration::from_secs(5)).next(&SeededEntropy::new(seed));
        assert_ne!(first_wait(1), first_wait(2));
    }

    #[test]
    fn reset_restarts_at_the_first_delay() {
        let (first, cap) = (Duration::from_millis(100), Duration::from_secs(60));
        let entropy = SeededEntropy::new(3);
        let mut backoff = Backoff::new(first, cap);
        let longest = (0..20).map(|_| backoff.next(&entropy)).max();
        assert!(longest > Some(first * 2));

        backoff.reset();
        assert!(backoff.next(&entropy) <= first * 2);
    }

    #[test]
    fn longest_durations_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::MAX / 2, Duration::MAX);
        for _ in 0..4 {
            assert!(backoff.next(&SeededEntropy::new(1)) >= Duration::MAX / 2);
        }
    }
}
