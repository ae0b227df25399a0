//! Metrics of the store.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use crate::StoreError;

/// Usage of the connection pool.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PoolUsage {
    /// Idle connections.
    pub(crate) idle: usize,
    /// Connections in use.
    pub(crate) in_use: usize,
    /// Transactions that wait for a connection.
    pub(crate) waiting: usize,
}

/// Instruments of the store. Clones share them.
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
                .u64_counter("postern.store.errors")
                .with_description("Failed transactions by step and meaning")
                .build(),
            discarded: meter
                .u64_counter("postern.store.connections_discarded")
                .with_description("Connections to the database that were discarded, by reason")
                .build(),
            given_up: meter
                .u64_counter("postern.store.tasks_given_up")
                .with_description("Durable tasks that failed too often and are kept for an operator")
                .build(),
        }
    }

    /// Observes the connection pool at each collection.
    pub(crate) fn watch(meter: &Meter, usage: impl Fn() -> PoolUsage + Send + Sync + 'static) {
        let usage = Arc::new(usage);
        let connections = Arc::clone(&usage);
        meter
            .u64_observable_gauge("postern.store.connections")
            .with_description("Connections to the database by state")
            .with_callback(move |gauge| {
                let usage = connections();
                gauge.observe(usage.idle as u64, &[KeyValue::new("state", "idle")]);
                gauge.observe(usage.in_use as u64, &[KeyValue::new("state", "in_use")]);
            })
            .build();
        meter
            .u64_observable_gauge("postern.store.connection_waiters")
            .with_description("Transactions that wait for a connection to the database")
            .with_callback(move |gauge| gauge.observe(usage().waiting as u64, &[]))
            .build();
    }

    pub(crate) fn failed(&self, step: &'static str, error: &StoreError) {
        let meaning = match error {
            StoreError::Unavailable { .. } => "unavailable",
            StoreError::Unknown { .. } => "unknown",
            StoreError::Broken { .. } => "broken",
            StoreError::TooLate(_) => "too_late",
            StoreError::SessionEnded(_) => "session_ended",
        };
        self.errors
            .add(1, &[KeyValue::new("step", step), KeyValue::new("meaning", meaning)]);
    }

    pub(crate) fn discarded(&self, reason: &'static str, connections: usize) {
        self.discarded
            .add(connections as u64, &[KeyValue::new("reason", reason)]);
    }

    pub(crate) fn gave_up(&self, tasks: u64) {
        self.given_up.add(tasks, &[]);
    }
}
