//! Clock of an open loop: releases work when it is due, however long earlier work takes.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Schedule of numbered work at a steady rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// Start of the run, from which due times count.
    pub(crate) start: Instant,
    /// Due time of number 0.
    pub(crate) offset: Duration,
    /// Numbers a second.
    pub(crate) rate: f64,
    /// Count of numbers.
    pub(crate) total: u64,
    /// Count of numbers in a row that are due at the same time.
    batch: u64,
}

impl Schedule {
    /// Schedule for a duration, beginning at an offset from the start.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and far below 2^53"
    )]
    pub(crate) fn new(start: Instant, offset: Duration, rate: f64, duration: Duration) -> Self {
        let total = (rate * duration.as_secs_f64()).round() as u64;
        Self {
            start,
            offset,
            rate,
            total,
            batch: 1,
        }
    }

    /// The same schedule with so many numbers due at the same time, when the first of them was.
    pub(crate) fn in_batches(self, batch: u64) -> Self {
        Self {
            batch: batch.max(1),
            ..self
        }
    }

    /// Due time of a number, since the start of the run.
    pub(crate) fn due(&self, number: u64) -> Duration {
        let first = number - number % self.batch;
        self.offset + Duration::from_secs_f64(first as f64 / self.rate)
    }

    /// Sends each number when it is due to the channel that `lane` names, in a thread of its own until the last number or until the
    /// receivers are gone. A full channel delays the pacer, and no due time.
    pub(crate) fn release(
        self,
        lanes: Vec<mpsc::Sender<u64>>,
        lane: impl Fn(u64) -> usize + Send + 'static,
    ) -> JoinHandle<()> {
        tokio::task::spawn_blocking(move || {
            for number in 0..self.total {
                self.wait(number);
                let Some(sender) = lanes.get(lane(number)) else { return };
                if sender.blocking_send(number).is_err() {
                    return;
                }
            }
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "tokio's timer rounds up to a millisecond, which would be part of every latency"
    )]
    fn wait(&self, number: u64) {
        let early = self.due(number).saturating_sub(self.start.elapsed());
        if !early.is_zero() {
            std::thread::sleep(early.max(GRAIN));
        }
    }
}

/// Least pause: what becomes due in it is released together, so that a high rate costs few wakeups.
const GRAIN: Duration = Duration::from_micros(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn schedule_is_released_completely_to_its_lanes_and_never_early() {
        let start = Instant::now();
        let schedule = Schedule::new(start, Duration::from_millis(5), 1_000.0, Duration::from_millis(40));
        let (even, mut evens) = mpsc::channel(1);
        let (odd, mut odds) = mpsc::channel(64);
        let pacer = schedule.release(vec![even, odd], |number| usize::from(number % 2 == 1));
        let mut received = Vec::new();
        while let Some(number) = evens.recv().await {
            assert!(start.elapsed() >= schedule.due(number), "{number} is early");
            received.push(number);
        }
        while let Some(number) = odds.recv().await {
            received.push(number);
        }
        pacer.await.unwrap();
        received.sort_unstable();
        assert_eq!(received, (0..40).collect::<Vec<_>>());
    }

    #[test]
    fn due_times_of_numbers_or_batches_are_evenly_spaced_after_the_offset() {
        let schedule = Schedule::new(Instant::now(), Duration::from_secs(1), 4.0, Duration::from_secs(2));
        assert_eq!(schedule.total, 8);
        assert_eq!(schedule.due(0), Duration::from_secs(1));
        assert_eq!(schedule.due(3), Duration::from_millis(1_750));
        let due = [0, 1, 2, 3].map(|number| schedule.in_batches(2).due(number).as_millis());
        assert_eq!(due, [1_000, 1_000, 1_500, 1_500]);
    }
}
