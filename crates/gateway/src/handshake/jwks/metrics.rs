//! Metrics of the JWKS client.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Meter};
use tokio::sync::watch;

use super::CachedKeys;

/// Instruments of the JWKS client.
#[derive(Debug)]
pub(super) struct JwksMetrics {
    fetches: Counter<u64>,
    keys: Gauge<u64>,
}

impl JwksMetrics {
    /// Creates the instruments. The age gauge reads the cache when it is scraped.
    pub(super) fn new(meter: &Meter, cached: watch::Receiver<CachedKeys>) -> Self {
        meter
            .f64_observable_gauge("postern_gateway_jwks_age_seconds")
            .with_unit("s")
            .with_description("Age of the cached key set: time since the last successful fetch")
            .with_callback(move |observer| {
                if let Some(at) = cached.borrow().fetched_at {
                    observer.observe(at.elapsed().as_secs_f64(), &[]);
                }
            })
            .build();
        Self {
            fetches: meter
                .u64_counter("postern_gateway_jwks_fetches_total")
                .with_description("JWKS fetches, by outcome")
                .build(),
            keys: meter
                .u64_gauge("postern_gateway_jwks_keys")
                .with_description("Usable keys in the cached key set")
                .build(),
        }
    }

    /// Records a successful fetch and its number of usable keys.
    pub(super) fn fetched(&self, keys: usize) {
        self.fetches.add(1, &[KeyValue::new("outcome", "ok")]);
        self.keys.record(keys as u64, &[]);
    }

    /// Records a failed fetch.
    pub(super) fn failed(&self, outcome: &'static str) {
        self.fetches.add(1, &[KeyValue::new("outcome", outcome)]);
    }
}
