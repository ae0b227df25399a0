//! Instruments of an issuer's keys, under the names of the gateway, whose meter they are built from.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Meter};
use tokio::sync::watch;

use crate::fetch_state::FetchState;

/// Instruments of an issuer's keys.
#[derive(Debug)]
pub(crate) struct Metrics {
    fetches: Counter<u64>,
    keys: Gauge<u64>,
}

impl Metrics {
    /// Builds the instruments; the age is read from the fetch state.
    pub(crate) fn new(meter: &Meter, state: watch::Receiver<FetchState>) -> Self {
        meter
            .f64_observable_gauge("postern.gateway.jwks.age")
            .with_unit("s")
            .with_description("Time since the last successful fetch of the issuer's keys")
            .with_callback(move |observer| {
                if let Some(at) = state.borrow().fetched {
                    observer.observe(at.elapsed().as_secs_f64(), &[]);
                }
            })
            .build();
        Self {
            fetches: meter
                .u64_counter("postern.gateway.jwks.fetches")
                .with_description("Fetches of the issuer's keys, by outcome")
                .build(),
            keys: meter
                .u64_gauge("postern.gateway.jwks.keys")
                .with_description("Usable keys that the issuer last published")
                .build(),
        }
    }

    /// Records a fetch with this number of usable keys.
    pub(crate) fn fetched(&self, keys: usize) {
        self.fetches.add(1, &[KeyValue::new("outcome", "ok")]);
        self.keys.record(keys as u64, &[]);
    }

    /// Records a failed fetch.
    pub(crate) fn failed(&self, outcome: &'static str) {
        self.fetches.add(1, &[KeyValue::new("outcome", outcome)]);
    }
}
