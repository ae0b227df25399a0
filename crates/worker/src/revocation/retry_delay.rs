//! How long a revocation waits before it is tried again.

use std::time::Duration;

use lifecycle::Entropy;

/// 30 s x 2^`tries`, at most 1 h, of which the second half is left to chance. [`lifecycle::Backoff`] keeps its count in memory;
/// here the queue keeps it, across workers and restarts.
pub(super) fn pause(tries: u32, entropy: &dyn Entropy) -> Duration {
    let longest = FIRST.saturating_mul(2_u32.saturating_pow(tries)).min(LONGEST);
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
        fn the_pause_doubles_up_to_an_hour_and_is_never_less_than_half(seed: u64, tries in 0_u32..100) {
            let longest = Duration::from_secs(30 * 2_u64.pow(tries.min(20))).min(LONGEST);
            let pause = pause(tries, &SeededEntropy::new(seed));
            prop_assert!(longest / 2 <= pause && pause <= longest, "{pause:?} after {tries} tries");
        }
    }
}
