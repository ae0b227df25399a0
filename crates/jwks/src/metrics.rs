//! Instruments of an issuer's keys, under the names of the gateway, whose meter they are built from.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};
use tokio::sync::watch;

use crate::fetch_state::FetchState;

/// Defines the outcomes with their labels. Each has a series from the start, so none is left out of the list.
macro_rules! outcomes {
    ($($(#[$doc:meta])+ $outcome:ident => $label:literal,)+) => {
        /// Outcome of a fetch.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum FetchOutcome {
            $($(#[$doc])+ $outcome,)+
        }

        impl FetchOutcome {
            const ALL: &[Self] = &[$(Self::$outcome),+];

            /// Label of the metrics.
            pub(crate) fn label(self) -> &'static str {
                match self {
                    $(Self::$outcome => $label),+
                }
            }
        }
    };
}

outcomes! {
    /// Key set.
    Ok => "ok",
    /// No connection, or no complete answer in time.
    NoAnswer => "no_answer",
    /// Status other than 200.
    Status => "status",
    /// Answer over the size bound.
    TooLarge => "too_large",
    /// Answer that is no key set.
    Unreadable => "unreadable",
}

/// Instruments of an issuer's keys.
#[derive(Debug)]
pub(crate) struct Metrics {
    fetches: Counter<u64>,
    fetch_duration: Histogram<f64>,
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
        let fetches = meter
            .u64_counter("postern.gateway.jwks.fetches")
            .with_description("Fetches of the issuer's keys, by outcome")
            .build();
        for outcome in FetchOutcome::ALL {
            fetches.add(0, &[KeyValue::new("outcome", outcome.label())]);
        }
        Self {
            fetches,
            fetch_duration: meter
                .f64_histogram("postern.gateway.jwks.fetch.duration")
                .with_unit("s")
                .with_description("Duration of fetches of the issuer's keys, by outcome")
                .build(),
            keys: meter
                .u64_gauge("postern.gateway.jwks.keys")
                .with_description("Usable keys that the issuer last published")
                .build(),
        }
    }

    /// Records a fetch.
    pub(crate) fn fetched(&self, outcome: FetchOutcome, duration: Duration) {
        let labels = [KeyValue::new("outcome", outcome.label())];
        self.fetches.add(1, &labels);
        self.fetch_duration.record(duration.as_secs_f64(), &labels);
    }

    /// Records the number of usable keys.
    pub(crate) fn keys(&self, keys: usize) {
        self.keys.record(keys as u64, &[]);
    }
}
