//! Metrics of the bus. Label `redis` names the connection: `commands`, `limits`, `events`, `replies`.

mod backlogs;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};
use protocol::cluster::job::Lane;

pub(crate) use self::backlogs::{LaneBacklog, LaneBacklogs};

use crate::operation::Operation;

/// Instruments of one bus. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    operations: Histogram<f64>,
    failed: Counter<u64>,
    reconnects: Counter<u64>,
    missed: Counter<u64>,
    redirects: Counter<u64>,
    unreadable: Counter<u64>,
    connected: Gauge<u64>,
    silence: Gauge<f64>,
    skew: Gauge<f64>,
    expiries: Gauge<u64>,
    queue_time: Histogram<f64>,
    backlogs: LaneBacklogs,
}

impl Metrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        let metrics = Self {
            operations: seconds(
                meter,
                "db.client.operation.duration",
                "Duration of database client operations",
            ),
            failed: counter(meter, "postern.bus.commands_failed", "Failed Redis commands"),
            reconnects: counter(
                meter,
                "postern.bus.reconnects",
                "Redis connections that were replaced or reconnected",
            ),
            missed: counter(
                meter,
                "postern.bus.missed",
                "Possible losses of channel messages, after which offsets are compared",
            ),
            redirects: counter(
                meter,
                "postern.bus.redirects",
                "Commands that a node of a Redis Cluster referred elsewhere or to later",
            ),
            unreadable: counter(
                meter,
                "postern.bus.unreadable",
                "Messages of other nodes that do not decode",
            ),
            connected: meter
                .u64_gauge("postern.bus.connected")
                .with_description("1 if the connection to Redis is in use and answers, else 0")
                .build(),
            silence: gauge(
                meter,
                "postern.bus.silence",
                "Time since the last reply of Redis, or the last probe message",
            ),
            skew: gauge(
                meter,
                "postern.bus.clock.skew",
                "Difference between the clocks of Redis and this node",
            ),
            expiries: meter
                .u64_gauge("postern.bus.expiries_arrive")
                .with_description("1 if keyspace notifications of expired keys arrive, else 0")
                .build(),
            queue_time: seconds(
                meter,
                "postern.bus.job.queue_time",
                "Time from the submission of a job to its first claim",
            ),
            backlogs: LaneBacklogs::default(),
        };
        for operation in Operation::ALL {
            metrics.failed.add(0, &[operation_label(*operation)]);
        }
        for kind in ["moved", "ask", "tryagain", "clusterdown"] {
            metrics.redirects.add(0, &[KeyValue::new("kind", kind)]);
        }
        for message in ["event", "job", "reply", "socket"] {
            metrics.unreadable.add(0, &[KeyValue::new("what", message)]);
        }
        metrics
    }

    /// Records an operation, with the kind of its failure if it failed.
    pub(crate) fn operation(&self, operation: Operation, duration: Duration, error_type: Option<&'static str>) {
        let [system, name] = [KeyValue::new("db.system.name", "redis"), operation_label(operation)];
        let duration = duration.as_secs_f64();
        match error_type {
            None => self.operations.record(duration, &[system, name]),
            Some(kind) => {
                let error = KeyValue::new("error.type", kind);
                self.operations.record(duration, &[system, name, error]);
                self.failed(operation);
            }
        }
    }

    /// Counts a failed operation whose duration says nothing.
    pub(crate) fn failed(&self, operation: Operation) {
        self.failed.add(1, &[operation_label(operation)]);
    }

    /// Exposes the counters of a connection before their first event.
    pub(crate) fn connection_opened(&self, redis: &'static str) {
        for counter in [&self.reconnects, &self.missed] {
            counter.add(0, &[KeyValue::new("redis", redis)]);
        }
    }

    pub(crate) fn reconnected(&self, redis: &'static str) {
        self.reconnects.add(1, &[KeyValue::new("redis", redis)]);
    }

    pub(crate) fn missed(&self, redis: &'static str) {
        self.missed.add(1, &[KeyValue::new("redis", redis)]);
    }

    /// Counts a command that a node of a cluster referred to another node, or to later.
    pub(crate) fn redirected(&self, kind: &'static str) {
        self.redirects.add(1, &[KeyValue::new("kind", kind)]);
    }

    pub(crate) fn unreadable(&self, what: &'static str) {
        self.unreadable.add(1, &[KeyValue::new("what", what)]);
    }

    pub(crate) fn connected(&self, redis: &'static str, is_connected: bool) {
        self.connected
            .record(u64::from(is_connected), &[KeyValue::new("redis", redis)]);
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

    pub(crate) fn queue_time(&self, lane: Lane, time: Duration) {
        self.queue_time
            .record(time.as_secs_f64(), &[KeyValue::new("lane", lane.as_str())]);
    }

    /// Backlogs of the lanes.
    pub(crate) fn backlogs(&self) -> &LaneBacklogs {
        &self.backlogs
    }
}

fn operation_label(operation: Operation) -> KeyValue {
    KeyValue::new("db.operation.name", operation.name())
}

fn counter(meter: &Meter, name: &'static str, description: &'static str) -> Counter<u64> {
    meter.u64_counter(name).with_description(description).build()
}

fn gauge(meter: &Meter, name: &'static str, description: &'static str) -> Gauge<f64> {
    meter
        .f64_gauge(name)
        .with_unit("s")
        .with_description(description)
        .build()
}

fn seconds(meter: &Meter, name: &'static str, description: &'static str) -> Histogram<f64> {
    meter
        .f64_histogram(name)
        .with_unit("s")
        .with_description(description)
        .build()
}
