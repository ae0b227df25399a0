//! Gauges of the lanes: jobs that wait for a worker, and dead letters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use protocol::cluster::job::Lane;
use tokio::time::Instant;

/// Backlogs of all lanes, as their last checks found them. Clones share them.
///
/// A gateway checks each lane every two seconds ([`crate::Jobs::is_served`]), and a worker none: the backlog is known while no worker
/// lives, and costs no round trip of its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct LaneBacklogs(Arc<Mutex<HashMap<Lane, (Instant, LaneBacklog)>>>);

/// Backlog of one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LaneBacklog {
    /// Jobs that no worker has claimed.
    pub(crate) depth: u64,
    /// Age of the oldest of them.
    pub(crate) oldest_age: Duration,
    /// Jobs that became dead letters and were not deleted since.
    pub(crate) dead_letters: u64,
}

impl LaneBacklogs {
    /// Records the result of a check.
    pub(crate) fn record(&self, lane: Lane, backlog: LaneBacklog) {
        self.lock().insert(lane, (Instant::now(), backlog));
    }

    /// Observes the gauges at each collection. A lane without a recent check has no value: an old backlog would look like a new one
    /// while Redis is away.
    pub(crate) fn observe(&self, meter: &Meter) {
        let depths = self.clone();
        meter
            .u64_observable_gauge("postern.bus.lane.depth")
            .with_description("Jobs of the lane that no worker has claimed")
            .with_callback(move |gauge| {
                depths.each(|lane, backlog| gauge.observe(backlog.depth, &[lane]));
            })
            .build();
        let ages = self.clone();
        meter
            .f64_observable_gauge("postern.bus.lane.oldest_age")
            .with_unit("s")
            .with_description("Age of the oldest job of the lane that no worker has claimed")
            .with_callback(move |gauge| {
                ages.each(|lane, backlog| gauge.observe(backlog.oldest_age.as_secs_f64(), &[lane]));
            })
            .build();
        let dead_letters = self.clone();
        meter
            .u64_observable_gauge("postern.bus.buried_jobs")
            .with_description("Dead letters of the lane")
            .with_callback(move |gauge| {
                dead_letters.each(|lane, backlog| gauge.observe(backlog.dead_letters, &[lane]));
            })
            .build();
    }

    fn each(&self, observe: impl Fn(KeyValue, LaneBacklog)) {
        let now = Instant::now();
        for (lane, (checked, backlog)) in &*self.lock() {
            if now.saturating_duration_since(*checked) < KNOWN_FOR {
                observe(KeyValue::new("lane", lane.as_str()), *backlog);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Lane, (Instant, LaneBacklog)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Age of a check after which the backlog is unknown: five missed checks.
const KNOWN_FOR: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn depths(backlogs: &LaneBacklogs) -> Vec<u64> {
        let found = std::cell::RefCell::new(Vec::new());
        backlogs.each(|_lane, backlog| found.borrow_mut().push(backlog.depth));
        found.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn backlog_is_unknown_when_its_last_check_is_old() {
        let backlogs = LaneBacklogs::default();
        let backlog = LaneBacklog {
            depth: 7,
            oldest_age: Duration::from_secs(1),
            dead_letters: 0,
        };
        backlogs.record(Lane::SignIn, backlog);
        tokio::time::advance(KNOWN_FOR - Duration::from_millis(1)).await;
        assert_eq!(depths(&backlogs), [7]);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(depths(&backlogs).is_empty());
    }
}
