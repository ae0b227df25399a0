//! Durations since a time on the clock of the bus: of deliveries, and of closes after a revocation.

use std::fmt;
use std::sync::Arc;

use bus::Liveness;
use opentelemetry::metrics::Histogram;
use protocol::time::Timestamp;

/// Histograms of durations that begin on another node.
pub(crate) struct BusDurations {
    pub(super) delivery: Histogram<f64>,
    pub(super) revocation_close: Histogram<f64>,
    pub(super) clock: Arc<dyn Liveness>,
}

impl BusDurations {
    /// Records the latency of a write to a socket, whose first event was published then.
    pub(crate) fn delivered(&self, published_at: Timestamp) {
        let latency = self.clock.server_time().since(published_at);
        self.delivery.record(latency.as_secs_f64(), &[]);
    }

    /// Records that a socket is no longer served, because its session was ended then. What the peer takes for the close is not counted: a
    /// lost client would take all the time that there is.
    pub(crate) fn revocation_closed(&self, ended: Timestamp) {
        let duration = self.clock.server_time().since(ended);
        self.revocation_close.record(duration.as_secs_f64(), &[]);
    }
}

#[cfg(test)]
impl BusDurations {
    /// Durations since times on the clock of a bus of its own.
    pub(crate) fn sample(of: &telemetry::metrics::Metrics) -> Self {
        let metrics = super::Metrics::new(&of.meter(), &lifecycle::Tasks::new());
        let entropy = lifecycle::SeededEntropy::new(7);
        metrics.bus_durations(Arc::new(bus::MemoryBus::new(Arc::new(entropy))))
    }

    /// Current time on that clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.server_time()
    }
}

impl fmt::Debug for BusDurations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusDurations").finish_non_exhaustive()
    }
}
