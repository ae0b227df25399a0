//! What is counted of an issuer's keys.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Meter};
use tokio::sync::watch;

use super::Known;

/// The instruments.
#[derive(Debug)]
pub(super) struct Metrics {
    fetches: Counter<u64>,
    keys: Gauge<u64>,
}

impl Metrics {
    /// Makes the instruments; the age is read off what is known.
    pub(super) fn new(meter: &Meter, known: watch::Receiver<Known>) -> Self {
        meter
            .f64_observable_gauge("postern_gateway_jwks_age_seconds")
            .with_unit("s")
            .with_description("Time since the issuer last said which keys are its own")
            .with_callback(move |observer| {
                if let Some(at) = known.borrow().fetched {
                    observer.observe(at.elapsed().as_secs_f64(), &[]);
                }
            })
            .build();
        Self {
            fetches: meter
                .u64_counter("postern_gateway_jwks_fetches_total")
                .with_description("Fetches of the issuer's keys, by outcome")
                .build(),
            keys: meter
                .u64_gauge("postern_gateway_jwks_keys")
                .with_description("Usable keys that the issuer last published")
                .build(),
        }
    }

    /// A fetch brought so many usable keys.
    pub(super) fn fetched(&self, keys: usize) {
        self.fetches.add(1, &[KeyValue::new("outcome", "ok")]);
        self.keys.record(keys as u64, &[]);
    }

    /// A fetch brought nothing.
    pub(super) fn failed(&self, outcome: &'static str) {
        self.fetches.add(1, &[KeyValue::new("outcome", outcome)]);
    }
}
