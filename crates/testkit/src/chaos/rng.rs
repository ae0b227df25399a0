//! Seeded randomness, and pauses drawn from it.

use std::ops::Range;
use std::time::Duration;

/// `SplitMix64` (Steele, Lea and Flood, 2014): the same seed produces the same draws.
#[derive(Clone, Debug)]
pub struct SeededRng {
    state: u64,
}

impl SeededRng {
    /// Generator of this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Generator for a part of the test, whose draws do not depend on how often other parts draw.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.draw())
    }

    /// Draws a number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.draw() % bound).unwrap_or_default()
    }

    /// Draws a duration in this range.
    pub fn between(&mut self, range: Range<Duration>) -> Duration {
        let part = u32::try_from(self.draw() >> 32).unwrap_or_default();
        range.start + (range.end - range.start).mul_f64(f64::from(part) / f64::from(u32::MAX))
    }

    /// Shuffles a slice.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// Sleeps for a duration in this range: the pace of faults and clients, which no condition determines.
    pub async fn pause(&mut self, range: Range<Duration>) {
        tokio::time::sleep(self.between(range)).await;
    }

    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_repeats_its_draws() {
        // First three values of the reference implementation for seed 1234567.
        let mut rng = SeededRng::new(1_234_567);
        let draws = [rng.draw(), rng.draw(), rng.draw()];
        assert_eq!(
            draws,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn draws_of_a_fork_do_not_depend_on_other_draws() {
        let (mut one, mut other) = (SeededRng::new(1), SeededRng::new(1));
        let (mut one_part, mut other_part) = (one.fork(), other.fork());
        one.below(6);
        assert_eq!(one_part.draw(), other_part.draw());
        other.below(6);
        assert_eq!(one.draw(), other.draw());
    }

    #[test]
    fn draws_stay_in_their_range_and_a_shuffle_keeps_all() {
        let mut rng = SeededRng::new(7);
        let mut cards = [0, 1, 2, 3, 4, 5];
        for _ in 0..1_000 {
            assert!(rng.below(3) < 3);
            let range = Duration::from_millis(5)..Duration::from_millis(7);
            let drawn = rng.between(range.clone());
            assert!(range.start <= drawn && drawn <= range.end);
            rng.shuffle(&mut cards);
        }
        cards.sort_unstable();
        assert_eq!(cards, [0, 1, 2, 3, 4, 5]);
    }
}
