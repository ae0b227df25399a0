//! Gauges of the backlogs in the store and of the vault key, observed at each collection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use store::{AppWebhookBacklog, OutboxBacklog, PrunedTable};
use tokio::time::Instant;

/// Backlogs in the store.
#[derive(Debug, Clone)]
pub(crate) struct Backlogs {
    /// Unsent events.
    pub(crate) outbox: OutboxBacklog,
    /// Webhooks to the application.
    pub(crate) app_webhooks: AppWebhookBacklog,
    /// Tasks that were given up.
    pub(crate) dead_tasks: u64,
    /// Time since all expired rows of each table were deleted.
    pub(crate) prune_ages: Vec<(PrunedTable, Duration)>,
}

/// Last measurements of this worker. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct BacklogGauges(Arc<Mutex<Measured>>);

#[derive(Debug, Default)]
struct Measured {
    backlogs: Option<(Backlogs, Instant)>,
    key_age: Option<(Duration, Instant)>,
}

impl BacklogGauges {
    /// Registers the gauges.
    pub(super) fn new(meter: &Meter) -> Self {
        let gauges = Self::default();
        let measured = gauges.clone();
        meter
            .u64_observable_gauge("postern.store.outbox.depth")
            .with_description("Committed events that are not published yet, up to 10,000")
            .with_callback(move |gauge| {
                if let Some(backlogs) = measured.backlogs() {
                    gauge.observe(backlogs.outbox.events, &[]);
                }
            })
            .build();
        let measured = gauges.clone();
        meter
            .f64_observable_gauge("postern.store.outbox.oldest_age")
            .with_unit("s")
            .with_description("Age of the oldest event that is not published yet; 0 if there is none")
            .with_callback(move |gauge| {
                if let Some(backlogs) = measured.backlogs() {
                    gauge.observe(backlogs.outbox.oldest.as_secs_f64(), &[]);
                }
            })
            .build();
        let measured = gauges.clone();
        meter
            .u64_observable_gauge("postern.store.dead_tasks")
            .with_description("Durable tasks that were given up and wait for an operator, up to 1,000")
            .with_callback(move |gauge| {
                if let Some(backlogs) = measured.backlogs() {
                    gauge.observe(backlogs.dead_tasks, &[]);
                }
            })
            .build();
        register_app_webhooks(meter, &gauges);
        let measured = gauges.clone();
        meter
            .f64_observable_gauge("postern.store.prune_age")
            .with_unit("s")
            .with_description("Time since all expired rows of a table were deleted, by table")
            .with_callback(move |gauge| {
                for (table, age) in measured
                    .backlogs()
                    .map(|backlogs| backlogs.prune_ages)
                    .unwrap_or_default()
                {
                    gauge.observe(age.as_secs_f64(), &[KeyValue::new("table", table.as_str())]);
                }
            })
            .build();
        let measured = gauges.clone();
        meter
            .f64_observable_gauge("postern.vault.key_age")
            .with_unit("s")
            .with_description("Time since a worker first encrypted with the vault key in use")
            .with_callback(move |gauge| {
                if let Some(age) = measured.key_age() {
                    gauge.observe(age.as_secs_f64(), &[]);
                }
            })
            .build();
        gauges
    }

    /// Records a measurement.
    pub(crate) fn measured(&self, backlogs: Backlogs) {
        self.lock().backlogs = Some((backlogs, Instant::now()));
    }

    /// Records the age of the vault key in use, which grows from here on.
    pub(crate) fn key_in_use(&self, age: Duration) {
        self.lock().key_age = Some((age, Instant::now()));
    }

    /// Last backlogs; none if they are too old to be true: while the store does not answer, its backlogs are unknown.
    fn backlogs(&self) -> Option<Backlogs> {
        let measured = self.lock();
        let (backlogs, at) = measured.backlogs.as_ref()?;
        (at.elapsed() < MAX_AGE).then(|| backlogs.clone())
    }

    fn key_age(&self) -> Option<Duration> {
        let (age, at) = self.lock().key_age?;
        Some(age + at.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Measured> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Registers the gauges of the webhooks to the application.
fn register_app_webhooks(meter: &Meter, gauges: &BacklogGauges) {
    let measured = gauges.clone();
    meter
        .u64_observable_gauge("postern.store.app_webhooks.depth")
        .with_description("Webhooks to the application that are not accepted yet, up to 10,000")
        .with_callback(move |gauge| {
            if let Some(backlogs) = measured.backlogs() {
                gauge.observe(backlogs.app_webhooks.waiting, &[]);
            }
        })
        .build();
    let measured = gauges.clone();
    meter
        .f64_observable_gauge("postern.store.app_webhooks.oldest_age")
        .with_unit("s")
        .with_description("Age of the oldest webhook to the application that is not accepted yet; 0 if there is none")
        .with_callback(move |gauge| {
            if let Some(backlogs) = measured.backlogs() {
                gauge.observe(backlogs.app_webhooks.oldest.as_secs_f64(), &[]);
            }
        })
        .build();
    let measured = gauges.clone();
    meter
        .u64_observable_gauge("postern.store.dead_app_webhooks")
        .with_description("Webhooks to the application that were given up and wait for an operator, up to 1,000")
        .with_callback(move |gauge| {
            if let Some(backlogs) = measured.backlogs() {
                gauge.observe(backlogs.app_webhooks.dead, &[]);
            }
        })
        .build();
}

/// Time after which a measurement is no longer observed.
const MAX_AGE: Duration = Duration::from_secs(30);
