//! Instruments of the messages of the second factor.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use protocol::security::FactorMethod;
use tokio::time::Instant;

use super::label::MessageLabel;

/// Instruments of the messages of the second factor. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct MessageMetrics {
    messages: Counter<u64>,
    duration: Histogram<f64>,
}

impl MessageMetrics {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            messages: meter
                .u64_counter("postern.worker.factor_messages")
                .with_description("Messages of the second factor by method and outcome")
                .build(),
            duration: meter
                .f64_histogram("postern.worker.factor_message.duration")
                .with_unit("s")
                .with_description(
                    "Time until the server of a message of the second factor answered, by method and outcome",
                )
                .build(),
        }
    }

    pub(super) fn start_at_zero(&self) {
        for method in [FactorMethod::Sms, FactorMethod::Email] {
            for outcome in MessageLabel::ALL {
                self.messages.add(0, &labels(method, outcome));
            }
        }
    }

    pub(super) fn start(&self, method: FactorMethod) -> MessageTimer<'_> {
        MessageTimer {
            metrics: self,
            method,
            started: Instant::now(),
            outcome: MessageLabel::Cancelled,
        }
    }
}

/// Measurement of one message. It is recorded when dropped: as `cancelled`, if the caller stopped waiting before the end.
#[derive(Debug)]
pub(crate) struct MessageTimer<'a> {
    metrics: &'a MessageMetrics,
    method: FactorMethod,
    started: Instant,
    outcome: MessageLabel,
}

impl MessageTimer<'_> {
    /// Records the outcome.
    pub(crate) fn end(mut self, outcome: MessageLabel) {
        self.outcome = outcome;
    }
}

impl Drop for MessageTimer<'_> {
    fn drop(&mut self) {
        let labels = labels(self.method, self.outcome);
        self.metrics.messages.add(1, &labels);
        if self.outcome != MessageLabel::NotOffered {
            self.metrics
                .duration
                .record(self.started.elapsed().as_secs_f64(), &labels);
        }
    }
}

fn labels(method: FactorMethod, outcome: MessageLabel) -> [KeyValue; 2] {
    [
        KeyValue::new("method", method.as_str()),
        KeyValue::new("outcome", outcome.as_str()),
    ]
}
