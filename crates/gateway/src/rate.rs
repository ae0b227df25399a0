//! Rates by governor's cell rate algorithm, with the time as an argument.

use std::cell::Cell;
use std::hash::Hash;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, Quota, RateLimiter};
use tokio::time::Instant;

use crate::settings::Rate;

/// One thing that may happen so often.
pub(crate) struct Limit {
    limiter: RateLimiter<NotKeyed, InMemoryState, Told, NoOpMiddleware<Duration>>,
    since: Instant,
}

impl Limit {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self {
            limiter: RateLimiter::direct_with_clock(quota(rate), Told::default()),
            since: now,
        }
    }

    /// Takes one, or says how long until there is one.
    pub(crate) fn admit(&self, now: Instant) -> Result<(), Duration> {
        let told = self.limiter.clock().tell(now, self.since);
        self.limiter.check().map_err(|not_until| wait(&not_until, told))
    }
}

/// The same thing for each of many: a count of its own per key. Keys that have long been quiet are forgotten.
pub(crate) struct Limits<K: Hash + Eq + Clone> {
    limiter: RateLimiter<K, HashMapStateStore<K>, Told, NoOpMiddleware<Duration>>,
    since: Instant,
    swept: Instant,
}

impl<K: Hash + Eq + Clone> Limits<K> {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self {
            limiter: RateLimiter::new(quota(rate), HashMapStateStore::default(), Told::default()),
            since: now,
            swept: now,
        }
    }

    /// Takes one from the key's count, or says how long until there is one.
    pub(crate) fn admit(&mut self, key: &K, now: Instant) -> Result<(), Duration> {
        let told = self.limiter.clock().tell(now, self.since);
        if now.saturating_duration_since(self.swept) >= SWEEP {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
            self.swept = now;
        }
        self.limiter.check_key(key).map_err(|not_until| wait(&not_until, told))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.limiter.len()
    }
}

fn quota(rate: Rate) -> Quota {
    Quota::per_second(rate.per_second).allow_burst(rate.burst)
}

fn wait(not_until: &NotUntil<Duration>, told: Duration) -> Duration {
    not_until.wait_time_from(told)
}

/// A clock that shows what it was last told, as time since its limiter was made.
#[derive(Debug, Default, Clone)]
struct Told(Cell<Duration>);

impl Told {
    fn tell(&self, now: Instant, since: Instant) -> Duration {
        let shown = now.saturating_duration_since(since);
        self.0.set(shown);
        shown
    }
}

impl Clock for Told {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.get()
    }
}

/// How often quiet keys are forgotten.
const SWEEP: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_taken_at_once_and_comes_back_at_the_rate() {
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
    async fn each_key_has_its_own_count_and_quiet_ones_are_forgotten() {
        let start = Instant::now();
        let mut limits = Limits::new(Rate::new(1, 1).unwrap(), start);
        assert!(limits.admit(&"a", start).is_ok());
        assert!(limits.admit(&"a", start).is_err());
        assert!(limits.admit(&"b", start).is_ok());

        assert!(limits.admit(&"c", start + SWEEP).is_ok());
        assert_eq!(limits.len(), 1);
    }
}
