//! Measurement of operations on the server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use tokio::time::Instant;

use crate::step::Step;

/// End of an attempt at an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OperationEnd {
    /// The server did its part.
    Succeeded,
    /// The attempt failed, with an error of this class.
    Failed(&'static str),
    /// Nothing was sent, for want of a connection of the pool.
    NotSent,
}

/// Measurement of one attempt at an operation: the sum of the times in which it waits for the server. Left out are the wait for a
/// connection of the pool, and the time that the content of a transaction spends elsewhere, as the outbox relay does in Redis.
///
/// Recorded when dropped: as `cancelled`, if the caller stopped waiting before the end.
#[derive(Debug)]
pub(crate) struct OperationTimer<'a> {
    operations: &'a Histogram<f64>,
    step: Step,
    waited_nanos: AtomicU64,
    end: OperationEnd,
}

impl<'a> OperationTimer<'a> {
    pub(super) fn new(operations: &'a Histogram<f64>, step: Step) -> Self {
        Self {
            operations,
            step,
            waited_nanos: AtomicU64::new(0),
            end: OperationEnd::Failed("cancelled"),
        }
    }

    /// Adds the time from this call until the answer of the server, or until the caller stops waiting for it.
    pub(crate) fn measure<T>(&self, answer: impl Future<Output = T>) -> impl Future<Output = T> {
        let wait = Wait {
            nanos: &self.waited_nanos,
            since: Instant::now(),
        };
        // Not an async function, whose future would have room for `answer` twice.
        answer.map(move |answer| {
            drop(wait);
            answer
        })
    }

    /// Records the end of the attempt.
    pub(crate) fn end(mut self, end: OperationEnd) {
        self.end = end;
    }
}

impl Drop for OperationTimer<'_> {
    fn drop(&mut self) {
        let mut labels = vec![
            KeyValue::new("db.system.name", "postgresql"),
            KeyValue::new("db.operation.name", self.step.as_str()),
        ];
        match self.end {
            OperationEnd::Succeeded => {}
            OperationEnd::Failed(error_type) => labels.push(KeyValue::new("error.type", error_type)),
            OperationEnd::NotSent => return,
        }
        let waited = Duration::from_nanos(self.waited_nanos.load(Ordering::Relaxed));
        self.operations.record(waited.as_secs_f64(), &labels);
    }
}

/// One wait for the server, added when dropped.
struct Wait<'a> {
    nanos: &'a AtomicU64,
    since: Instant,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let nanos = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}
