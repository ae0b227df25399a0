//! What a worker counts.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};
use protocol::account::AccountType;
use protocol::cluster::job::Lane;
use protocol::security::FactorMethod;
use store::Relayed;

/// The worker's instruments. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    jobs: Counter<u64>,
    job_seconds: Histogram<f64>,
    running: UpDownCounter<i64>,
    waiting: UpDownCounter<i64>,
    exchanges: Counter<u64>,
    relayed: Counter<u64>,
    relays_stopped: Counter<u64>,
    resent: Counter<u64>,
    revocations: Counter<u64>,
    messages: Counter<u64>,
    syncs: Counter<u64>,
    sync_lag: Histogram<f64>,
    refreshes: Counter<u64>,
    pauses: Counter<u64>,
    platform_busy: Counter<u64>,
    inboxes: Counter<u64>,
}

impl Metrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            jobs: meter
                .u64_counter("postern_worker_jobs_total")
                .with_description("Jobs by command and by how they ended")
                .build(),
            job_seconds: meter
                .f64_histogram("postern_worker_job_seconds")
                .with_unit("s")
                .with_description("From the claim of a job to its outcome")
                .build(),
            running: meter
                .i64_up_down_counter("postern_worker_jobs_running")
                .with_description("Jobs in hand by lane")
                .build(),
            waiting: meter
                .i64_up_down_counter("postern_worker_jobs_waiting")
                .with_description("Claimed jobs that wait for a slot of their user or a permit of their lane")
                .build(),
            exchanges: meter
                .u64_counter("postern_worker_exchanges_total")
                .with_description("Authorization codes by platform and by what became of them")
                .build(),
            relayed: meter
                .u64_counter("postern_worker_outbox_relayed_total")
                .with_description("Events of the outbox that the bus took")
                .build(),
            relays_stopped: meter
                .u64_counter("postern_worker_outbox_stopped_total")
                .with_description("Relays that left events for later because the bus refused one")
                .build(),
            resent: meter
                .u64_counter("postern_worker_outbox_resent_total")
                .with_description("Events to be published again because the bus lost its memory")
                .build(),
            revocations: meter
                .u64_counter("postern_worker_revocations_total")
                .with_description("Tries to give a grant back by platform and by how they ended")
                .build(),
            messages: meter
                .u64_counter("postern_worker_factor_messages_total")
                .with_description("Messages of the second factor by method and by how they ended")
                .build(),
            syncs: meter
                .u64_counter("postern_worker_syncs_total")
                .with_description("Syncs by platform and by how they ended")
                .build(),
            sync_lag: meter
                .f64_histogram("postern_worker_sync_lag_seconds")
                .with_unit("s")
                .with_description("From when an account was due to when a worker took its turn")
                .build(),
            refreshes: meter
                .u64_counter("postern_worker_refreshes_total")
                .with_description("Refresh tokens that were to be sent by platform and by what became of them")
                .build(),
            pauses: meter
                .u64_counter("postern_worker_pauses_total")
                .with_description("Requests of platforms to wait by whom they mean")
                .build(),
            platform_busy: meter
                .u64_counter("postern_worker_platform_busy_total")
                .with_description("Jobs that were refused because too many were at their platform already")
                .build(),
            inboxes: meter
                .u64_counter("postern_worker_inbox_reads_total")
                .with_description("Looks into the inboxes of bots by platform and by how they ended")
                .build(),
        }
    }

    /// A job has ended: `ok`, an error code, or `late`.
    pub(crate) fn job(&self, command: &'static str, outcome: &'static str, took: Duration) {
        let command = KeyValue::new("command", command);
        self.job_seconds
            .record(took.as_secs_f64(), std::slice::from_ref(&command));
        self.jobs.add(1, &[command, KeyValue::new("outcome", outcome)]);
    }

    /// A job is in hand until the guard is dropped.
    pub(crate) fn running(&self, lane: Lane) -> Counted {
        Counted::of(lane, &self.running)
    }

    /// A claimed job waits until the guard is dropped.
    pub(crate) fn waiting(&self, lane: Lane) -> Counted {
        Counted::of(lane, &self.waiting)
    }

    /// An exchange has ended: `granted`, or why not.
    pub(crate) fn exchange(&self, account: AccountType, outcome: &'static str) {
        self.exchanges.add(1, &of_platform(account, outcome));
    }

    /// A relay of one user has ended.
    pub(crate) fn relay(&self, relayed: Relayed) {
        self.relayed.add(relayed.sent, &[]);
        self.relays_stopped.add(u64::from(relayed.stopped), &[]);
    }

    /// So many events will be published again.
    pub(crate) fn resent(&self, events: u64) {
        self.resent.add(events, &[]);
    }

    /// A try to give a grant back has ended: `done`, `retried`, `dead` or `lost`.
    pub(crate) fn revocation(&self, account: AccountType, outcome: &'static str) {
        self.revocations.add(1, &of_platform(account, outcome));
    }

    /// A sync has ended: `ok`, `failed`, `paused` or `lost`.
    pub(crate) fn sync(&self, account: AccountType, outcome: &'static str) {
        self.syncs.add(1, &of_platform(account, outcome));
    }

    /// An account had been due for so long.
    pub(crate) fn sync_lag(&self, account: AccountType, late: Duration) {
        let platform = [KeyValue::new("platform", account.as_str())];
        self.sync_lag.record(late.as_secs_f64(), &platform);
    }

    /// A refresh token was sent, or was to be: `granted`, or why not.
    pub(crate) fn refresh(&self, account: AccountType, outcome: &'static str) {
        self.refreshes.add(1, &of_platform(account, outcome));
    }

    /// A platform asks an `account` to wait, or the whole `app`.
    pub(crate) fn pause(&self, account: AccountType, whose: &'static str) {
        let platform = KeyValue::new("platform", account.as_str());
        self.pauses.add(1, &[platform, KeyValue::new("whose", whose)]);
    }

    /// A job was refused because too many are at its platform.
    pub(crate) fn platform_busy(&self, account: AccountType) {
        let platform = [KeyValue::new("platform", account.as_str())];
        self.platform_busy.add(1, &platform);
    }

    /// An inbox was looked into: `ok`, `failed`, `refused` or `throttled`.
    pub(crate) fn inbox(&self, account: AccountType, outcome: &'static str) {
        self.inboxes.add(1, &of_platform(account, outcome));
    }

    /// A message was `sent`, or why it was not.
    pub(crate) fn message(&self, method: FactorMethod, outcome: &'static str) {
        let method = KeyValue::new("method", method.as_str());
        self.messages.add(1, &[method, KeyValue::new("outcome", outcome)]);
    }
}

/// Counts one more in a lane while it lives.
#[derive(Debug)]
pub(crate) struct Counted {
    count: UpDownCounter<i64>,
    lane: [KeyValue; 1],
}

impl Counted {
    fn of(lane: Lane, count: &UpDownCounter<i64>) -> Self {
        let lane = [KeyValue::new("lane", lane.as_str())];
        count.add(1, &lane);
        Self {
            count: count.clone(),
            lane,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.count.add(-1, &self.lane);
    }
}

fn of_platform(account: AccountType, outcome: &'static str) -> [KeyValue; 2] {
    [
        KeyValue::new("platform", account.as_str()),
        KeyValue::new("outcome", outcome),
    ]
}
