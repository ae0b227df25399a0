//! Clock of the server, read without a lock: gateways read it for every write to a socket.

use std::sync::atomic::{AtomicI64, Ordering};

use protocol::time::Timestamp;
use tokio::time::Instant;

use super::health::Health;

/// Clock of one server, set by each heartbeat.
#[derive(Debug)]
pub(super) struct ServerClock {
    start: Instant,
    /// Server's clock at `start`, in ms since 1970.
    millis_at_start: AtomicI64,
}

impl ServerClock {
    /// Clock as of the first heartbeat.
    pub(super) fn new(health: &Health) -> Self {
        let (start, _) = health.reading();
        let clock = Self {
            start,
            millis_at_start: AtomicI64::new(0),
        };
        clock.set(health);
        clock
    }

    /// Sets the clock by a heartbeat that was answered.
    pub(super) fn set(&self, health: &Health) {
        let (at, server_time) = health.reading();
        let server_time = i64::try_from(server_time).unwrap_or(i64::MAX);
        self.millis_at_start
            .store(server_time.saturating_sub(self.since_start(at)), Ordering::Relaxed);
    }

    /// Time on the server's clock.
    pub(super) fn at(&self, now: Instant) -> Timestamp {
        let start = self.millis_at_start.load(Ordering::Relaxed);
        Timestamp::from_millis(start.saturating_add(self.since_start(now)))
    }

    fn since_start(&self, at: Instant) -> i64 {
        i64::try_from(at.saturating_duration_since(self.start).as_millis()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn clock_follows_the_server_from_its_last_heartbeat() {
        let start = Instant::now();
        let health = |after: u64, server_time| {
            Health::up(start + Duration::from_secs(after), server_time, SystemTime::UNIX_EPOCH)
        };
        let clock = ServerClock::new(&health(0, 1_000_000));
        let at = |seconds| clock.at(start + Duration::from_secs(seconds)).as_millis();
        assert_eq!((at(0), at(2)), (1_000_000, 1_002_000));
        // After a failover the clock of another server counts, which is 3 s behind.
        clock.set(&health(10, 1_007_000));
        assert_eq!((at(10), at(11)), (1_007_000, 1_008_000));
    }
}
