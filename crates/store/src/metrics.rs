//! What the store counts.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use crate::StoreError;
use crate::postgres::Pool;

/// The store's instruments. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    errors: Counter<u64>,
    discarded: Counter<u64>,
    given_up: Counter<u64>,
}

impl Metrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            errors: meter
                .u64_counter("postern_store_errors_total")
                .with_description("Failed transactions by step and by what the failure means")
                .build(),
            discarded: meter
                .u64_counter("postern_store_connections_discarded_total")
                .with_description("Connections to the database that are not used again, by reason")
                .build(),
            given_up: meter
                .u64_counter("postern_store_tasks_given_up_total")
                .with_description("Durable tasks that failed too often and are kept for an operator")
                .build(),
        }
    }

    /// Reads the pool whenever the figures are asked for.
    pub(crate) fn watch(meter: &Meter, pool: &Pool) {
        let usage = pool.usage();
        meter
            .u64_observable_gauge("postern_store_connections")
            .with_description("Connections to the database by state")
            .with_callback(move |gauge| {
                let usage = usage();
                gauge.observe(usage.idle as u64, &[KeyValue::new("state", "idle")]);
                gauge.observe(usage.in_use as u64, &[KeyValue::new("state", "in_use")]);
            })
            .build();
        let usage = pool.usage();
        meter
            .u64_observable_gauge("postern_store_connection_waiters")
            .with_description("Transactions that wait for a connection to the database")
            .with_callback(move |gauge| gauge.observe(usage().waiting as u64, &[]))
            .build();
    }

    pub(crate) fn failed(&self, step: &'static str, error: &StoreError) {
        let meaning = match error {
            StoreError::Unavailable { .. } => "away",
            StoreError::Unknown { .. } => "unknown",
            StoreError::Broken { .. } => "broken",
            StoreError::TooLate(_) => "too_late",
            StoreError::SessionEnded(_) => "session_ended",
        };
        self.errors
            .add(1, &[KeyValue::new("step", step), KeyValue::new("meaning", meaning)]);
    }

    pub(crate) fn discarded(&self, why: &'static str, connections: usize) {
        self.discarded.add(connections as u64, &[KeyValue::new("reason", why)]);
    }

    pub(crate) fn gave_up(&self, tasks: u64) {
        self.given_up.add(tasks, &[]);
    }
}
