//! Clock of the servers, read without a lock: gateways read it for every write to a socket.

use std::sync::atomic::{AtomicI64, Ordering};

use protocol::time::Timestamp;
use tokio::time::Instant;

/// Clock of the servers as their heartbeats set it: of several, that which is furthest ahead.
#[derive(Debug)]
pub(super) struct ServerClock {
    start: Instant,
    /// Servers' clock at `start`, in ms since 1970.
    millis_at_start: AtomicI64,
}

impl ServerClock {
    /// Clock that has not been set.
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            millis_at_start: AtomicI64::new(0),
        }
    }

    /// Time that a server's clock showed at the start of this one, by its time (ms since 1970) at another instant.
    pub(super) fn at_start(&self, (at, server_time): (Instant, u64)) -> i64 {
        let server_time = i64::try_from(server_time).unwrap_or(i64::MAX);
        server_time.saturating_sub(self.since_start(at))
    }

    /// Sets the clock by what it showed at the start.
    pub(super) fn set(&self, at_start: i64) {
        self.millis_at_start.store(at_start, Ordering::Relaxed);
    }

    /// Time on the servers' clock.
    pub(super) fn at(&self, now: Instant) -> Timestamp {
        let start = self.millis_at_start.load(Ordering::Relaxed);
        Timestamp::from_millis(start.saturating_add(self.since_start(now)))
    }

    fn since_start(&self, at: Instant) -> i64 {
        i64::try_from(at.saturating_duration_since(self.start).as_millis()).unwrap_or(i64::MAX)
    }
}
