//! Wall-clock time as an argument, so that expiry can be tested without waiting for it.
//!
//! Only points in time that leave the process (token expiry, timestamps, deadlines in a database) come from here. Durations and
//! timers use tokio's own clock, which tests pause.

use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Source of the time of day, passed as `Arc<dyn Clock>`.
pub trait Clock: Debug + Send + Sync {
    /// Current time. It may jump in either direction, because the operating system corrects its clock.
    fn now(&self) -> SystemTime;
}

/// Clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the real clock")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Clock for tests that advances only on request.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<SystemTime>,
}

impl ManualClock {
    /// Clock that shows `start`.
    #[must_use]
    pub fn new(start: SystemTime) -> Self {
        Self { now: Mutex::new(start) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now += by;
    }

    /// Sets the clock to any time, earlier ones included.
    pub fn set(&self, to: SystemTime) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn manual_clock_advances_only_on_request() {
        let manual = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH));
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&manual);
        assert_eq!(clock.now(), SystemTime::UNIX_EPOCH);

        manual.advance(Duration::from_secs(90));
        assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(90));

        manual.set(SystemTime::UNIX_EPOCH);
        assert_eq!(clock.now(), SystemTime::UNIX_EPOCH);
    }

    #[test]
    fn system_clock_shows_a_time_after_the_test_was_written() {
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert!(SystemClock.now() > written);
    }
}
