//! Delay before a revocation is attempted again.

use std::time::Duration;

use lifecycle::Entropy;

/// Delay of 30 s x 2^`attempts`, at most 1 h, with the second half random. [`lifecycle::Backoff`] counts in memory; here the queue
/// counts, across workers and restarts.
pub(super) fn retry_delay(attempts: u32, entropy: &dyn Entropy) -> Duration {
    let longest = FIRST.saturating_mul(2_u32.saturating_pow(attempts)).min(LONGEST);
    let chance = f64::from(u32::from_le_bytes(entropy.bytes())) / f64::from(u32::MAX);
    longest.mul_f64(0.5 + chance / 2.0)
}

const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use lifecycle::SeededEntropy;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_delay_doubles_up_to_an_hour_and_is_never_less_than_half(seed: u64, attempts in 0_u32..100) {
            let longest = Duration::from_secs(30 * 2_u64.pow(attempts.min(20))).min(LONGEST);
            let delay = retry_delay(attempts, &SeededEntropy::new(seed));
            prop_assert!(longest / 2 <= delay && delay <= longest, "{delay:?} after {attempts} attempts");
        }
    }
}
