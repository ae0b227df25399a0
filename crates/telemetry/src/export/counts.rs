//! Counts of the exports and of what they lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

/// Kind of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// Operation in the log lines of an outage.
    pub(super) fn operation(self) -> &'static str {
        match self {
            Self::Traces => "export traces",
            Self::Metrics => "export metrics",
            Self::Logs => "export logs",
        }
    }
}

/// Outcome of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExportOutcome {
    Ok,
    Timeout,
    Failed,
}

/// Counts of all signals of a process.
#[derive(Debug, Default)]
pub(super) struct ExportCounts {
    traces: SignalCounts,
    metrics: SignalCounts,
    logs: SignalCounts,
}

/// Counts of one signal.
#[derive(Debug, Default)]
struct SignalCounts {
    ok: AtomicU64,
    timeouts: AtomicU64,
    failures: AtomicU64,
    dropped_by_queue: AtomicU64,
    dropped_by_timeout: AtomicU64,
    dropped_by_failure: AtomicU64,
}

impl ExportCounts {
    fn of(&self, signal: Signal) -> &SignalCounts {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
        }
    }

    /// Counts an item that found a full queue.
    pub(super) fn queue_full(&self, signal: Signal) {
        self.of(signal).dropped_by_queue.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an export of some items, which are lost unless it succeeded.
    pub(super) fn exported(&self, signal: Signal, items: usize, outcome: ExportOutcome) {
        let counts = self.of(signal);
        let (exports, dropped) = match outcome {
            ExportOutcome::Ok => (&counts.ok, None),
            ExportOutcome::Timeout => (&counts.timeouts, Some(&counts.dropped_by_timeout)),
            ExportOutcome::Failed => (&counts.failures, Some(&counts.dropped_by_failure)),
        };
        exports.fetch_add(1, Ordering::Relaxed);
        if let Some(dropped) = dropped {
            dropped.fetch_add(items as u64, Ordering::Relaxed);
        }
    }
}

/// Shows the counts.
pub(super) fn observe(counts: &Arc<ExportCounts>, meter: &Meter) {
    let shown = Arc::clone(counts);
    meter
        .u64_observable_counter("postern.telemetry.dropped")
        .with_description("Spans, log records and collections of metrics that were not exported, by signal and reason")
        .with_callback(move |observer| {
            for signal in Signal::ALL {
                let counts = shown.of(signal);
                for (reason, count) in [
                    ("queue_full", &counts.dropped_by_queue),
                    ("timeout", &counts.dropped_by_timeout),
                    ("failed", &counts.dropped_by_failure),
                ] {
                    observer.observe(count.load(Ordering::Relaxed), &labels(signal, "reason", reason));
                }
            }
        })
        .build();
    let shown = Arc::clone(counts);
    meter
        .u64_observable_counter("postern.telemetry.exports")
        .with_description("Exports to the collector, by signal and outcome")
        .with_callback(move |observer| {
            for signal in Signal::ALL {
                let counts = shown.of(signal);
                for (outcome, count) in [
                    ("ok", &counts.ok),
                    ("timeout", &counts.timeouts),
                    ("failed", &counts.failures),
                ] {
                    observer.observe(count.load(Ordering::Relaxed), &labels(signal, "outcome", outcome));
                }
            }
        })
        .build();
}

fn labels(signal: Signal, key: &'static str, value: &'static str) -> [KeyValue; 2] {
    [KeyValue::new("signal", signal.as_str()), KeyValue::new(key, value)]
}
