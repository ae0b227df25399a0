//! Size of the batches of a run, by the time that they take.

use std::time::Duration;

/// Number of rows of the next batch: as many as are deleted in about 25 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchSize(u16);

impl BatchSize {
    pub(super) const FIRST: Self = Self(200);

    /// Most rows of the next batch.
    pub(super) fn rows(self) -> u16 {
        self.0
    }

    /// Size after a batch of this duration.
    pub(super) fn after(self, took: Duration) -> Self {
        Self(match took {
            _ if took > SLOW => self.0 / 2,
            _ if took < FAST => self.0 * 2,
            _ => self.0,
        })
        .within_bounds()
    }

    fn within_bounds(self) -> Self {
        Self(self.0.clamp(LEAST, MOST))
    }
}

/// Duration above which batches get smaller. Whoever waits for a row of a batch waits for less than 100 ms.
const SLOW: Duration = Duration::from_millis(50);

/// Duration below which batches get larger.
const FAST: Duration = Duration::from_millis(12);

const LEAST: u16 = 50;
const MOST: u16 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn after(size: BatchSize, times: usize, took: Duration) -> u16 {
        (0..times).fold(size, |size, _| size.after(took)).rows()
    }

    #[test]
    fn fast_batches_grow_and_slow_ones_shrink_within_bounds() {
        let first = BatchSize::FIRST;
        assert_eq!(after(first, 1, Duration::from_millis(11)), 400);
        assert_eq!(after(first, 1, Duration::from_millis(25)), 200);
        assert_eq!(after(first, 1, Duration::from_millis(51)), 100);
        assert_eq!(after(first, 99, Duration::ZERO), 2_000);
        assert_eq!(after(first, 99, Duration::from_secs(2)), 50);
    }
}
