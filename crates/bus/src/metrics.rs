//! Metrics of the bus. Label `redis` names the connection: `commands`, `limits`, `events`, `replies`, `expiries`, `reads`.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Meter};

/// Instruments of one bus. Clones share them.
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
                .u64_counter("postern.bus.commands_failed")
                .with_description("Failed Redis commands, by step")
                .build(),
            reconnects: meter
                .u64_counter("postern.bus.reconnects")
                .with_description("Redis connections that were replaced or reconnected")
                .build(),
            missed: meter
                .u64_counter("postern.bus.missed")
                .with_description("Possible losses of channel messages, after which offsets are compared")
                .build(),
            unreadable: meter
                .u64_counter("postern.bus.unreadable")
                .with_description("Messages of other nodes that do not decode")
                .build(),
            silence: meter
                .f64_gauge("postern.bus.silence")
                .with_unit("s")
                .with_description("Time since the last reply of Redis, or the last probe message")
                .build(),
            skew: meter
                .f64_gauge("postern.bus.clock.skew")
                .with_unit("s")
                .with_description("Difference between the clocks of Redis and this node")
                .build(),
            expiries: meter
                .u64_gauge("postern.bus.expiries_arrive")
                .with_description("1 if keyspace notifications of expired keys arrive, else 0")
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
