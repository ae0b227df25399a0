//! Rate limits by governor's generic cell rate algorithm, with the time as an argument.

use std::cell::Cell;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{InsufficientCapacity, NotUntil, Quota, RateLimiter};
use tokio::time::Instant;

use crate::label::Label;
use crate::settings::Rate;

/// Rate limit of one counter.
pub(crate) struct Limit {
    limiter: RateLimiter<NotKeyed, InMemoryState, LimiterClock, NoOpMiddleware<Duration>>,
    since: Instant,
}

impl Limit {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self {
            limiter: RateLimiter::direct_with_clock(quota(rate), LimiterClock::default()),
            since: now,
        }
    }

    /// Takes one, or returns the time until one is available.
    pub(crate) fn admit(&self, now: Instant) -> Result<(), Duration> {
        let elapsed = self.limiter.clock().set(now, self.since);
        self.limiter.check().map_err(|not_until| wait(&not_until, elapsed))
    }

    /// Takes several, or returns the time until they are available. More than the burst count as the burst.
    pub(crate) fn admit_many(&self, count: NonZeroU32, now: Instant) -> Result<(), Duration> {
        let elapsed = self.limiter.clock().set(now, self.since);
        let admitted = match self.limiter.check_n(count) {
            Ok(admitted) => admitted,
            Err(InsufficientCapacity(burst)) => match NonZeroU32::new(burst).map(|burst| self.limiter.check_n(burst)) {
                Some(Ok(admitted)) => admitted,
                // The burst itself fits.
                Some(Err(_)) | None => Ok(()),
            },
        };
        admitted.map_err(|not_until| wait(&not_until, elapsed))
    }
}

/// Rate limit with a counter per key. Idle keys are removed.
pub(crate) struct Limits<K: Hash + Eq + Clone> {
    limiter: RateLimiter<K, HashMapStateStore<K>, LimiterClock, NoOpMiddleware<Duration>>,
    since: Instant,
    swept: Instant,
}

impl<K: Hash + Eq + Clone> Limits<K> {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self {
            limiter: RateLimiter::new(quota(rate), HashMapStateStore::default(), LimiterClock::default()),
            since: now,
            swept: now,
        }
    }

    /// Takes one of the key's counter, or returns the time until one is available.
    pub(crate) fn admit(&mut self, key: &K, now: Instant) -> Result<(), Duration> {
        let elapsed = self.limiter.clock().set(now, self.since);
        if now.saturating_duration_since(self.swept) >= SWEEP {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
            self.swept = now;
        }
        self.limiter
            .check_key(key)
            .map_err(|not_until| wait(&not_until, elapsed))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.limiter.len()
    }
}

/// Rate limit of log lines that any client can cause. Lines over the limit are suppressed and counted.
pub(crate) struct LogLimit(Mutex<LogState>);

struct LogState {
    limit: Limit,
    suppressed: u64,
}

impl LogLimit {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        let limit = Limit::new(rate, now);
        Self(Mutex::new(LogState { limit, suppressed: 0 }))
    }

    /// Returns the number of lines suppressed since the last one, or `None` if this line is suppressed too.
    pub(crate) fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.limit.admit(now).is_err() {
            state.suppressed += 1;
            return None;
        }
        Some(std::mem::take(&mut state.suppressed))
    }
}

/// Rate limits of log lines of several kinds: a flood of one kind suppresses no other.
pub(crate) struct LogLimits<L>(Vec<(L, LogLimit)>);

impl<L: Label + PartialEq> LogLimits<L> {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        let limits = L::ALL.iter().map(|kind| (*kind, LogLimit::new(rate, now)));
        Self(limits.collect())
    }

    /// Returns the number of lines of this kind suppressed since the last one, or `None` if this line is suppressed too.
    pub(crate) fn admit(&self, kind: L, now: Instant) -> Option<u64> {
        let (_, limit) = self.0.iter().find(|(of, _)| *of == kind)?;
        limit.admit(now)
    }
}

/// Rate of log lines of one kind that any peer of the internal API can cause.
pub(crate) const LOG_RATE: Rate = Rate {
    per_second: NonZeroU32::MIN,
    burst: NonZeroU32::MIN.saturating_add(9),
};

fn quota(rate: Rate) -> Quota {
    Quota::per_second(rate.per_second).allow_burst(rate.burst)
}

fn wait(not_until: &NotUntil<Duration>, elapsed: Duration) -> Duration {
    not_until.wait_time_from(elapsed)
}

/// Clock of a limiter: the time since its creation, as last set.
#[derive(Debug, Default, Clone)]
struct LimiterClock(Cell<Duration>);

impl LimiterClock {
    fn set(&self, now: Instant, since: Instant) -> Duration {
        let elapsed = now.saturating_duration_since(since);
        self.0.set(elapsed);
        elapsed
    }
}

impl Clock for LimiterClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.get()
    }
}

/// Time between removals of idle keys.
const SWEEP: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn burst_is_admitted_at_once_and_refills_at_the_rate() {
        let start = Instant::now();
        let limit = Limit::new(Rate::new(20, 40).unwrap(), start);
        for _ in 0..40 {
            assert_eq!(limit.admit(start), Ok(()));
        }
        assert_eq!(limit.admit(start), Err(Duration::from_millis(50)));
        let later = start + Duration::from_millis(100);
        assert_eq!((limit.admit(later), limit.admit(later)), (Ok(()), Ok(())));
        assert!(limit.admit(later).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn several_are_admitted_together_or_not_at_all() {
        let start = Instant::now();
        let limit = Limit::new(Rate::new(10, 10).unwrap(), start);
        let many = |count| limit.admit_many(NonZeroU32::new(count).unwrap(), start);
        assert_eq!(many(7), Ok(()));
        assert_eq!(many(5), Err(Duration::from_millis(200)));
        assert_eq!(many(3), Ok(()));
        let full = start + Duration::from_secs(1);
        let above_the_burst = NonZeroU32::new(1_000).unwrap();
        assert_eq!(limit.admit_many(above_the_burst, full), Ok(()));
        assert!(limit.admit_many(above_the_burst, full).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_counted_separately_and_idle_ones_are_removed() {
        let start = Instant::now();
        let mut limits = Limits::new(Rate::new(1, 1).unwrap(), start);
        assert!(limits.admit(&"a", start).is_ok());
        assert!(limits.admit(&"a", start).is_err());
        assert!(limits.admit(&"b", start).is_ok());

        assert!(limits.admit(&"c", start + SWEEP).is_ok());
        assert_eq!(limits.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn log_lines_are_rate_limited_and_suppressed_ones_counted() {
        let start = Instant::now();
        let log = LogLimit::new(Rate::new(1, 2).unwrap(), start);
        let admitted: Vec<_> = (0..5).map(|_| log.admit(start)).collect();
        assert_eq!(admitted, [Some(0), Some(0), None, None, None]);
        let later = start + Duration::from_secs(1);
        assert_eq!((log.admit(later), log.admit(later)), (Some(3), None));
    }
}
