//! Counts and latencies of a run, from all its tasks.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::event::Kind;
use crate::results::LatencyLog;

/// Latencies that are recorded apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Series {
    /// Due time of an event until a socket has received it.
    Delivery(Kind),
    /// Due time of an event until the API has accepted it.
    Accepted,
    /// Due time of a request until its answer.
    Answer,
    /// TCP connect until the socket is live.
    Connect,
    /// Loss of a connection until the socket is live again.
    Absence,
}

/// Counts and latencies of one run.
pub(crate) struct Ledger {
    epoch: Instant,
    /// Latencies by section, in parts that few tasks share.
    shards: Vec<Mutex<BTreeMap<(u8, Series), LatencyLog>>>,
    section: AtomicU8,
    connected: AtomicUsize,
    delivered: AtomicU64,
    counts: Mutex<Counts>,
}

/// Counts of what is not per event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Connections that became live.
    pub(crate) connects: u64,
    /// Connections that continued a lost one.
    pub(crate) resumed: u64,
    /// Connections that should have continued a lost one.
    pub(crate) not_resumed: u64,
    /// Connections that ended without being asked to, by reason.
    pub(crate) lost: BTreeMap<String, u64>,
    /// Failed attempts to connect, by reason.
    pub(crate) failed: BTreeMap<String, u64>,
    /// Notices of lost events that sockets received.
    pub(crate) notices: u64,
    /// Events that the API did not accept, by reason.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Repeated requests of the API.
    pub(crate) retries: u64,
    /// Events that the API accepted.
    pub(crate) accepted: u64,
    /// Requests of sockets.
    pub(crate) requested: u64,
    pub(crate) answered: u64,
    /// Requests whose connection the scenario dropped before the answer.
    pub(crate) cut_off: u64,
}

impl Counts {
    /// Requests that should have had an answer, and have none.
    pub(crate) fn unanswered(&self) -> u64 {
        self.requested.saturating_sub(self.answered + self.cut_off)
    }
}

impl Ledger {
    /// Ledger whose times count from `epoch`.
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            section: AtomicU8::new(0),
            connected: AtomicUsize::new(0),
            delivered: AtomicU64::new(0),
            counts: Mutex::default(),
        }
    }

    /// Moment from which times count.
    pub(crate) fn epoch(&self) -> Instant {
        self.epoch
    }

    /// Begins the next section: latencies that end from now on are recorded apart from earlier ones. Returns its number.
    pub(crate) fn begin_section(&self) -> u8 {
        self.section.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Latencies of these sections by series.
    pub(crate) fn latencies(&self, sections: RangeInclusive<u8>) -> BTreeMap<Series, LatencyLog> {
        let mut all: BTreeMap<Series, LatencyLog> = BTreeMap::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let wanted = shard.iter().filter(|((section, _), _)| sections.contains(section));
            for ((_, series), log) in wanted {
                let merged = all.entry(*series).or_insert_with(|| LatencyLog::new(self.epoch));
                merged.merge(log);
            }
        }
        all
    }

    /// Copy of the counts.
    pub(crate) fn counts(&self) -> Counts {
        self.count(|counts| counts.clone())
    }

    /// Changes the counts.
    pub(super) fn count<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Number of live sockets.
    pub(crate) fn connected(&self) -> usize {
        self.connected.load(Ordering::Relaxed)
    }

    /// Number of events received, at all sockets, without repeated ones.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Records a latency of what was due at this time of the run and has just ended. Tasks spread over the shards.
    pub(super) fn ended(&self, shard: usize, series: Series, due: Duration) {
        let now = Instant::now();
        let Some(shard) = self.shards.get(shard % SHARDS) else {
            return;
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let section = self.section.load(Ordering::Relaxed);
        let log = shard
            .entry((section, series))
            .or_insert_with(|| LatencyLog::new(self.epoch));
        log.record(self.epoch + due, now);
    }

    /// Records the first delivery of an event at a socket.
    pub(super) fn delivery(&self, shard: usize, kind: Kind, due: Duration) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
        self.ended(shard, Series::Delivery(kind), due);
    }

    /// Counts a live socket, and no longer when the result is dropped.
    pub(super) fn live(&self) -> Live<'_> {
        self.connected.fetch_add(1, Ordering::Relaxed);
        Live(self)
    }
}

/// Count of one live socket.
pub(super) struct Live<'a>(&'a Ledger);

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.0.connected.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a reason; of many different ones the later ones are counted together.
pub(super) fn add_reason(reasons: &mut BTreeMap<String, u64>, mut reason: String) {
    // Postern adds a delay that differs for each socket.
    if let Some(delay) = reason.find("; reconnect-after-ms") {
        reason.truncate(delay);
    }
    let reason = match reasons.len() < MOST_REASONS || reasons.contains_key(&reason) {
        true => reason,
        false => "other reasons".to_owned(),
    };
    *reasons.entry(reason).or_default() += 1;
}

const MOST_REASONS: usize = 20;
const SHARDS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_apart_by_section_and_series_and_merged_from_all_shards() {
        let ledger = Ledger::new(Instant::now());
        for shard in [0, 1, 9] {
            ledger.delivery(shard, Kind::Alert, Duration::ZERO);
        }
        assert_eq!(ledger.begin_section(), 1);
        ledger.ended(3, Series::Connect, Duration::ZERO);
        let counts = |sections| {
            let latencies = ledger.latencies(sections).into_iter();
            latencies
                .map(|(series, log)| (series, log.summary().count))
                .collect::<Vec<_>>()
        };
        let alerts = (Series::Delivery(Kind::Alert), 3);
        assert_eq!(counts(0..=0), [alerts]);
        assert_eq!(counts(1..=1), [(Series::Connect, 1)]);
        assert_eq!(counts(0..=1), [alerts, (Series::Connect, 1)]);
        assert_eq!(ledger.delivered(), 3);
    }

    #[test]
    fn requests_of_dropped_connections_are_not_unanswered() {
        let counts = Counts {
            requested: 10,
            answered: 7,
            cut_off: 2,
            ..Counts::default()
        };
        assert_eq!(counts.unanswered(), 1);
    }

    #[test]
    fn many_different_reasons_are_counted_together() {
        let mut reasons = BTreeMap::new();
        for number in 0..100 {
            add_reason(&mut reasons, format!("reason {number}"));
            add_reason(&mut reasons, "reason 0".to_owned());
        }
        assert_eq!(reasons.len(), MOST_REASONS + 1);
        assert_eq!((reasons["reason 0"], reasons["other reasons"]), (101, 80));
    }
}
