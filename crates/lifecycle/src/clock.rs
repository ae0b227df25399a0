//! Wall-clock time as an argument, so that expiry can be tested without waiting for it.
//!
//! Only points in time that leave the process (token expiry, timestamps, deadlines in a database) come from here.
//! Durations and timers use tokio's own clock, which tests pause.

use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Tells the time of day. Handed over as `Arc<dyn Clock>`.
pub trait Clock: Debug + Send + Sync {
    /// The present, which may jump in either direction: the operating system corrects its clock.
    fn now(&self) -> SystemTime;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the real clock")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock for tests that stands still until it is told to move.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<SystemTime>,
}

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn new(start: SystemTime) -> Self {
        Self { now: Mutex::new(start) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now += by;
    }

    /// Puts the clock anywhere, also back.
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
    fn a_manual_clock_moves_only_when_told() {
        let manual = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH));
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&manual);
        assert_eq!(clock.now(), SystemTime::UNIX_EPOCH);

        manual.advance(Duration::from_secs(90));
        assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(90));

        manual.set(SystemTime::UNIX_EPOCH);
        assert_eq!(clock.now(), SystemTime::UNIX_EPOCH);
    }

    #[test]
    fn the_system_clock_shows_a_time_after_this_was_written() {
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert!(SystemClock.now() > written);
    }
}
