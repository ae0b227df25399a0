//! Measurement of operations on the server.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
    /// The caller stopped waiting. That is a failure of this class if it waited for the server then, and none of the server otherwise.
    Interrupted(&'static str),
    /// Nothing was sent, for want of a connection of the pool.
    NotSent,
}

/// Measurement of one attempt at an operation: the sum of the times in which it waits for the server. Left out are the wait for a
/// connection of the pool, and the time that the content of a transaction spends elsewhere, as the outbox relay does in Redis.
///
/// Recorded when dropped: as `cancelled`, if the caller stopped waiting for the server.
#[derive(Debug)]
pub(crate) struct OperationTimer<'a> {
    operations: &'a Histogram<f64>,
    step: Step,
    waited_nanos: AtomicU64,
    /// True if the caller stopped waiting before the server had answered.
    is_interrupted: AtomicBool,
    end: OperationEnd,
}

impl<'a> OperationTimer<'a> {
    pub(super) fn new(operations: &'a Histogram<f64>, step: Step) -> Self {
        Self {
            operations,
            step,
            waited_nanos: AtomicU64::new(0),
            is_interrupted: AtomicBool::new(false),
            end: OperationEnd::Interrupted("cancelled"),
        }
    }

    /// Adds the time from this call until the answer of the server, or until the caller stops waiting for it.
    pub(crate) fn measure<T>(&self, answer: impl Future<Output = T>) -> impl Future<Output = T> {
        let wait = Wait {
            timer: self,
            since: Instant::now(),
            is_answered: false,
        };
        // Not an async function, whose future would have room for `answer` twice.
        answer.map(move |answer| {
            wait.answered();
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
        let is_interrupted = self.is_interrupted.load(Ordering::Relaxed);
        match self.end {
            OperationEnd::Succeeded => {}
            OperationEnd::Interrupted(_) if !is_interrupted => {}
            OperationEnd::Failed(class) | OperationEnd::Interrupted(class) => {
                labels.push(KeyValue::new("error.type", class));
            }
            OperationEnd::NotSent => return,
        }
        let waited = Duration::from_nanos(self.waited_nanos.load(Ordering::Relaxed));
        self.operations.record(waited.as_secs_f64(), &labels);
    }
}

/// One wait for the server, added when dropped.
struct Wait<'a> {
    timer: &'a OperationTimer<'a>,
    since: Instant,
    is_answered: bool,
}

impl Wait<'_> {
    fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let nanos = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.timer.waited_nanos.fetch_add(nanos, Ordering::Relaxed);
        if !self.is_answered {
            self.timer.is_interrupted.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use telemetry::metrics::Metrics as Registry;
    use tokio::time::timeout;

    use super::*;
    use crate::metrics::Metrics;

    /// Series of the counts, after an operation.
    fn counted(registry: &Registry) -> Vec<String> {
        let text = registry.render().unwrap();
        let lines = text
            .lines()
            .filter(|line| line.starts_with("db_client_operation_duration_seconds_count"));
        lines.map(str::to_owned).collect()
    }

    fn series(error_type: &str) -> String {
        format!(
            "db_client_operation_duration_seconds_count{{db_operation_name=\"relay events\",\
             db_system_name=\"postgresql\"{error_type}}} 1"
        )
    }

    #[tokio::test(start_paused = true)]
    async fn time_limit_that_passes_while_the_server_answers_late_is_its_failure() {
        let registry = Registry::new("test");
        let metrics = Metrics::new(&registry.meter());
        let timer = metrics.operation(Step::RelayEvents);
        let late = timeout(Duration::from_secs(1), timer.measure(pending::<()>()));
        late.await.unwrap_err();
        timer.end(OperationEnd::Interrupted("timeout"));
        assert_eq!(counted(&registry), [series(",error_type=\"timeout\"")]);
    }

    #[tokio::test(start_paused = true)]
    async fn time_limit_that_passes_elsewhere_is_no_failure_of_the_server() {
        let registry = Registry::new("test");
        let metrics = Metrics::new(&registry.meter());
        let timer = metrics.operation(Step::RelayEvents);
        timer.measure(ready(())).await;
        timeout(Duration::from_secs(1), pending::<()>()).await.unwrap_err();
        timer.end(OperationEnd::Interrupted("timeout"));
        assert_eq!(counted(&registry), [series("")]);
    }
}
