//! What is measured of the bus. `redis` says which connection: `commands`, `limits`, `events`, `replies`, `expiries`, `reads`.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Meter};

/// The instruments of one bus. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    failed: Counter<u64>,
    reconnects: Counter<u64>,
    missed: Counter<u64>,
    unreadable: Counter<u64>,
    silence: Gauge<f64>,
    skew: Gauge<f64>,
    expiries: Gauge<u64>,
}

impl Metrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            failed: meter
                .u64_counter("postern_bus_commands_failed_total")
                .with_description("Commands to Redis that were not answered, by step")
                .build(),
            reconnects: meter
                .u64_counter("postern_bus_reconnects_total")
                .with_description("Connections to Redis that were renewed")
                .build(),
            missed: meter
                .u64_counter("postern_bus_missed_total")
                .with_description("How often messages may have been missed and positions had to be compared")
                .build(),
            unreadable: meter
                .u64_counter("postern_bus_unreadable_total")
                .with_description("Messages of other nodes that this release cannot read")
                .build(),
            silence: meter
                .f64_gauge("postern_bus_silence_seconds")
                .with_description("Time since Redis last answered, or a probe last came back")
                .build(),
            skew: meter
                .f64_gauge("postern_bus_clock_skew_seconds")
                .with_description("How far the clocks of Redis and this node are apart")
                .build(),
            expiries: meter
                .u64_gauge("postern_bus_expiries_arrive")
                .with_description("Whether Redis announces expiries, 1 or 0")
                .build(),
        }
    }

    pub(crate) fn command_failed(&self, step: &'static str) {
        self.failed.add(1, &[KeyValue::new("step", step)]);
    }

    pub(crate) fn reconnected(&self, redis: &'static str) {
        self.reconnects.add(1, &[KeyValue::new("redis", redis)]);
    }

    pub(crate) fn missed(&self, redis: &'static str) {
        self.missed.add(1, &[KeyValue::new("redis", redis)]);
    }

    pub(crate) fn unreadable(&self, what: &'static str) {
        self.unreadable.add(1, &[KeyValue::new("what", what)]);
    }

    pub(crate) fn silence(&self, redis: &'static str, silence: Duration) {
        self.silence
            .record(silence.as_secs_f64(), &[KeyValue::new("redis", redis)]);
    }

    pub(crate) fn expiries_arrive(&self, arrive: bool) {
        self.expiries.record(u64::from(arrive), &[]);
    }

    pub(crate) fn clock_skew(&self, redis: &'static str, skew: Duration) {
        self.skew.record(skew.as_secs_f64(), &[KeyValue::new("redis", redis)]);
    }
}
