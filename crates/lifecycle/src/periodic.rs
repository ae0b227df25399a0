//! Periodic loop of a background task: one tick per period until the node drains.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Ticks of a background task: `while ticks.next().await { .. }`.
///
/// All methods are cancel safe: a tick is not lost when a `select!` drops the call.
#[derive(Debug)]
pub struct PeriodicLoop {
    interval: Interval,
    end: CancellationToken,
}

impl PeriodicLoop {
    /// Loop that ends with `end`, in most cases [`Tasks::soft`](crate::Tasks::soft). The first tick comes at once, each
    /// other at least `period` after the one before: a late tick delays those behind it and is not made up for.
    ///
    /// # Panics
    /// Outside a tokio runtime, and with a period of zero.
    #[must_use]
    pub fn new(period: Duration, end: CancellationToken) -> Self {
        let mut interval = tokio::time::interval(period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval, end }
    }

    /// Waits for the next tick. False once the loop has ended.
    pub async fn next(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.end.cancelled() => false,
            _ = self.interval.tick() => true,
        }
    }

    /// Waits for the next tick or for a notification, which counts as a tick and leaves the schedule as it is. False
    /// once the loop has ended.
    pub async fn next_or_notified(&mut self, wake: &Notify) -> bool {
        tokio::select! {
            more = self.next() => more,
            () = wake.notified() => !self.end.is_cancelled(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::{Instant, advance, sleep, timeout};

    use super::*;

    const PERIOD: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn first_tick_comes_at_once_and_the_others_one_period_apart() {
        let start = Instant::now();
        let mut ticks = PeriodicLoop::new(PERIOD, CancellationToken::new());
        for number in 0..3 {
            assert!(ticks.next().await);
            assert_eq!(start.elapsed(), PERIOD * number);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn late_tick_delays_the_next_one_by_a_full_period() {
        let start = Instant::now();
        let mut ticks = PeriodicLoop::new(PERIOD, CancellationToken::new());
        assert!(ticks.next().await);
        advance(PERIOD * 5 / 2).await;
        assert!(ticks.next().await);
        assert!(ticks.next().await);
        assert_eq!(start.elapsed(), PERIOD * 7 / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn cancelled_token_ends_the_loop_even_when_a_tick_is_due() {
        let end = CancellationToken::new();
        let mut ticks = PeriodicLoop::new(PERIOD, end.clone());
        let wake = Notify::new();
        wake.notify_one();
        end.cancel();
        assert!(!ticks.next().await);
        assert!(!ticks.next_or_notified(&wake).await);
    }

    #[tokio::test(start_paused = true)]
    async fn cancellation_during_the_wait_ends_the_loop() {
        let end = CancellationToken::new();
        let mut ticks = PeriodicLoop::new(PERIOD, end.clone());
        assert!(ticks.next().await);
        let start = Instant::now();
        let cancel = async {
            sleep(PERIOD / 2).await;
            end.cancel();
        };
        let (more, ()) = tokio::join!(ticks.next(), cancel);
        assert!(!more);
        assert_eq!(start.elapsed(), PERIOD / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn notification_wakes_the_loop_early_and_keeps_the_schedule() {
        let start = Instant::now();
        let wake = Arc::new(Notify::new());
        let mut ticks = PeriodicLoop::new(PERIOD, CancellationToken::new());
        assert!(ticks.next_or_notified(&wake).await);

        wake.notify_one();
        assert!(ticks.next_or_notified(&wake).await);
        assert_eq!(start.elapsed(), Duration::ZERO);

        assert!(ticks.next_or_notified(&wake).await);
        assert_eq!(start.elapsed(), PERIOD);
    }

    #[tokio::test(start_paused = true)]
    async fn dropped_wait_loses_no_tick() {
        let start = Instant::now();
        let mut ticks = PeriodicLoop::new(PERIOD, CancellationToken::new());
        assert!(ticks.next().await);
        assert!(timeout(PERIOD / 2, ticks.next()).await.is_err());
        assert!(ticks.next().await);
        assert_eq!(start.elapsed(), PERIOD);
    }
}
