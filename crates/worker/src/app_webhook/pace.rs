//! Number of webhooks that a worker sends at the same time: fewer while the receiver fails, and none while it asks to wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Pace of a worker. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Pace(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    running: u32,
    limit: u32,
    paused_until: Option<Instant>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            running: 0,
            limit: AT_ONCE,
            paused_until: None,
        })))
    }

    /// Number of webhooks that may be started now.
    pub(super) fn free(&self) -> u32 {
        let state = self.lock();
        match state.paused_until {
            Some(until) if Instant::now() < until => 0,
            _ => state.limit.saturating_sub(state.running),
        }
    }

    /// Counts a webhook as running until the guard is dropped.
    pub(super) fn start(&self) -> RunningWebhook {
        self.lock().running += 1;
        RunningWebhook(self.clone())
    }

    /// Doubles the bound: the receiver accepts webhooks.
    pub(super) fn faster(&self) {
        let mut state = self.lock();
        state.limit = state.limit.saturating_mul(2).min(AT_ONCE);
    }

    /// Halves the bound: the receiver fails. Starts none while it asks to wait.
    pub(super) fn slower(&self, asked: Option<Duration>) {
        let mut state = self.lock();
        state.limit = (state.limit / 2).max(1);
        if let Some(asked) = asked {
            let until = Instant::now() + asked.min(LONGEST_PAUSE);
            state.paused_until = state.paused_until.max(Some(until));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Webhook that is being sent.
#[derive(Debug)]
pub(super) struct RunningWebhook(Pace);

impl Drop for RunningWebhook {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running = state.running.saturating_sub(1);
    }
}

/// Most webhooks that a worker sends at the same time.
const AT_ONCE: u32 = 16;

/// Longest pause of all webhooks. One that failed waits as long as the receiver asks for.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failing_receiver_is_sent_one_webhook_at_a_time_and_a_working_one_many() {
        let pace = Pace::new();
        let running = pace.start();
        assert_eq!(pace.free(), AT_ONCE - 1);
        for _ in 0..10 {
            pace.slower(None);
        }
        assert_eq!(pace.free(), 0, "one is running");
        drop(running);
        assert_eq!(pace.free(), 1);
        for _ in 0..10 {
            pace.faster();
        }
        assert_eq!(pace.free(), AT_ONCE);
    }

    #[tokio::test(start_paused = true)]
    async fn receiver_that_asks_to_wait_is_sent_nothing_for_as_long() {
        let pace = Pace::new();
        pace.slower(Some(Duration::from_secs(30)));
        pace.slower(Some(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(29)).await;
        assert_eq!(pace.free(), 0);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(pace.free(), AT_ONCE / 4);
        pace.slower(Some(Duration::MAX));
        tokio::time::advance(LONGEST_PAUSE).await;
        assert!(pace.free() > 0, "the receiver cannot stop all webhooks for ever");
    }
}
