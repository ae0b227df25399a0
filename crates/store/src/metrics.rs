//! Metrics of the store.

mod operation;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use tokio::time::Instant;

use crate::StoreError;
use crate::outbox::SentEvent;
use crate::retention::PrunedTable;
use crate::step::Step;

pub(crate) use operation::{OperationEnd, OperationTimer};

/// Usage of the connection pool.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PoolUsage {
    /// Idle connections.
    pub(crate) idle: usize,
    /// Connections in use.
    pub(crate) used: usize,
    /// Transactions that wait for a connection.
    pub(crate) waiting: usize,
    /// Most connections that the pool opens.
    pub(crate) max: usize,
}

/// Reason for which a connection was discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiscardReason {
    /// The server did not answer.
    Silent,
    /// The server accepts no writes.
    ReadOnly,
    /// The server stops, or starts.
    Shutdown,
    /// The connection has ended.
    Closed,
    /// The connection was open when the server stopped or was demoted.
    Condemned,
    /// The connection reached its maximum age.
    Age,
}

impl DiscardReason {
    const ALL: [Self; 6] = [
        Self::Silent,
        Self::ReadOnly,
        Self::Shutdown,
        Self::Closed,
        Self::Condemned,
        Self::Age,
    ];

    /// Label of the metric.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::ReadOnly => "read_only",
            Self::Shutdown => "shutdown",
            Self::Closed => "closed",
            Self::Condemned => "condemned",
            Self::Age => "age",
        }
    }
}

/// Instruments of the store. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    errors: Counter<u64>,
    discarded: Counter<u64>,
    given_up: Counter<u64>,
    pruned: Counter<u64>,
    operations: Histogram<f64>,
    connection_waits: Histogram<f64>,
    outbox_age: Histogram<f64>,
}

impl Metrics {
    /// Builds the instruments, each counter with all its series at zero.
    pub(crate) fn new(meter: &Meter) -> Self {
        let counter = |name: &'static str, description: &'static str| {
            meter.u64_counter(name).with_description(description).build()
        };
        let seconds = |name: &'static str, description: &'static str| {
            let histogram = meter.f64_histogram(name).with_unit("s");
            histogram.with_description(description).build()
        };
        let metrics = Self {
            errors: counter("postern.store.errors", "Failed transactions by step and meaning"),
            discarded: counter(
                "postern.store.connections_discarded",
                "Connections to the database that were discarded, by reason",
            ),
            given_up: counter(
                "postern.store.tasks_given_up",
                "Durable tasks that failed too often and are kept for an operator",
            ),
            pruned: counter("postern.store.pruned_rows", "Expired rows that were deleted, by table"),
            operations: seconds("db.client.operation.duration", "Duration of database client operations"),
            connection_waits: seconds(
                "db.client.connection.wait_time",
                "Time until a connection of the pool was obtained",
            ),
            outbox_age: seconds(
                "postern.store.outbox.age",
                "Time from the commit of an event to its publication",
            ),
        };
        for step in Step::ALL {
            for meaning in MEANINGS {
                metrics.errors.add(0, &of_error(step.as_str(), meaning));
            }
        }
        for reason in DiscardReason::ALL {
            metrics.discarded(reason, 0);
        }
        metrics.gave_up(0);
        for table in PrunedTable::ALL {
            metrics.pruned(table, 0);
        }
        metrics
    }

    /// Observes the connection pool at each collection.
    pub(crate) fn watch(meter: &Meter, usage: impl Fn() -> PoolUsage + Send + Sync + 'static) {
        let usage = Arc::new(usage);
        let connections = Arc::clone(&usage);
        meter
            .i64_observable_up_down_counter("db.client.connection.count")
            .with_unit("{connection}")
            .with_description("Connections to the database by state")
            .with_callback(move |counter| {
                let usage = connections();
                for (state, count) in [("idle", usage.idle), ("used", usage.used)] {
                    let labels = [pool_name(), KeyValue::new("db.client.connection.state", state)];
                    counter.observe(signed(count), &labels);
                }
            })
            .build();
        let connections = Arc::clone(&usage);
        meter
            .i64_observable_up_down_counter("db.client.connection.max")
            .with_unit("{connection}")
            .with_description("Most connections that the pool opens")
            .with_callback(move |counter| counter.observe(signed(connections().max), &[pool_name()]))
            .build();
        meter
            .i64_observable_up_down_counter("db.client.connection.pending_requests")
            .with_unit("{request}")
            .with_description("Transactions that wait for a connection to the database")
            .with_callback(move |counter| counter.observe(signed(usage().waiting), &[pool_name()]))
            .build();
    }

    pub(crate) fn failed(&self, step: Step, error: &StoreError) {
        let meaning = match error {
            StoreError::Unavailable { .. } => UNAVAILABLE,
            StoreError::Unknown { .. } => UNKNOWN,
            StoreError::Broken { .. } => BROKEN,
            StoreError::TooLate(_) => TOO_LATE,
            StoreError::SessionEnded(_) => SESSION_ENDED,
        };
        self.errors.add(1, &of_error(step.as_str(), meaning));
    }

    pub(crate) fn discarded(&self, reason: DiscardReason, connections: usize) {
        self.discarded
            .add(connections as u64, &[KeyValue::new("reason", reason.as_str())]);
    }

    pub(crate) fn gave_up(&self, tasks: u64) {
        self.given_up.add(tasks, &[]);
    }

    pub(crate) fn pruned(&self, table: PrunedTable, rows: u64) {
        self.pruned.add(rows, &[KeyValue::new("table", table.as_str())]);
    }

    /// Starts the measurement of an attempt at an operation.
    pub(crate) fn operation(&self, step: Step) -> OperationTimer<'_> {
        OperationTimer::new(&self.operations, step)
    }

    /// Starts the measurement of a wait for a connection, which ends when the return value is dropped.
    pub(crate) fn connection_wait(&self) -> ConnectionWait<'_> {
        ConnectionWait {
            waits: &self.connection_waits,
            since: Instant::now(),
        }
    }

    /// Records the age of an event that was published.
    pub(crate) fn published(&self, age: Duration) {
        self.outbox_age.record(age.as_secs_f64(), &[]);
    }

    /// Records the ages of events that were published.
    pub(crate) fn published_all(&self, sent: &[SentEvent]) {
        for event in sent {
            self.published(event.age);
        }
    }
}

/// Wait for a connection, recorded when dropped: a caller that gives up has waited too.
#[derive(Debug)]
pub(crate) struct ConnectionWait<'a> {
    waits: &'a Histogram<f64>,
    since: Instant,
}

impl Drop for ConnectionWait<'_> {
    fn drop(&mut self) {
        self.waits.record(self.since.elapsed().as_secs_f64(), &[pool_name()]);
    }
}

fn pool_name() -> KeyValue {
    KeyValue::new("db.client.connection.pool.name", "postgres")
}

fn of_error(step: &'static str, meaning: &'static str) -> [KeyValue; 2] {
    [KeyValue::new("step", step), KeyValue::new("meaning", meaning)]
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

const UNAVAILABLE: &str = "unavailable";
const UNKNOWN: &str = "unknown";
const BROKEN: &str = "broken";
const TOO_LATE: &str = "too_late";
const SESSION_ENDED: &str = "session_ended";

/// Meanings of failed transactions.
const MEANINGS: [&str; 5] = [UNAVAILABLE, UNKNOWN, BROKEN, TOO_LATE, SESSION_ENDED];
