//! Work that is done again and again until the node drains.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// A steady pace: `while pace.next().await { .. }`.
#[derive(Debug)]
pub(crate) struct Pace {
    ticks: Interval,
    end: CancellationToken,
}

impl Pace {
    /// The first turn comes at once, the others `period` apart; a turn that took longer delays the next and is not made up for.
    pub(crate) fn new(period: Duration, end: CancellationToken) -> Self {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, end }
    }

    /// Waits for the next turn; false when there is none because the node drains.
    pub(crate) async fn next(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.end.cancelled() => false,
            _ = self.ticks.tick() => true,
        }
    }

    /// The same, but a nudge brings the next turn at once.
    pub(crate) async fn next_or(&mut self, nudge: &Notify) -> bool {
        tokio::select! {
            more = self.next() => more,
            () = nudge.notified() => !self.end.is_cancelled(),
        }
    }
}
