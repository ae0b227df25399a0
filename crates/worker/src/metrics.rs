//! Instruments of a worker.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};
use protocol::account::AccountType;
use protocol::cluster::job::Lane;
use protocol::security::FactorMethod;
use store::Relayed;

/// Instruments of a worker. Clones share them.
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
                .u64_counter("postern.worker.jobs")
                .with_description("Jobs by command and outcome")
                .build(),
            job_seconds: meter
                .f64_histogram("postern.worker.job.duration")
                .with_unit("s")
                .with_description("Time from the claim of a job to its outcome")
                .build(),
            running: meter
                .i64_up_down_counter("postern.worker.jobs_running")
                .with_description("Running jobs by lane")
                .build(),
            waiting: meter
                .i64_up_down_counter("postern.worker.jobs_waiting")
                .with_description("Claimed jobs that wait for a slot of their user or a permit of their lane")
                .build(),
            exchanges: meter
                .u64_counter("postern.worker.exchanges")
                .with_description("Exchanges of authorization codes by platform and outcome")
                .build(),
            relayed: meter
                .u64_counter("postern.worker.outbox.relayed")
                .with_description("Events of the outbox that were published to the bus")
                .build(),
            relays_stopped: meter
                .u64_counter("postern.worker.outbox.stopped")
                .with_description("Relays that stopped because the bus refused an event")
                .build(),
            resent: meter
                .u64_counter("postern.worker.outbox.resent")
                .with_description("Events queued to be published again after the bus lost its event logs")
                .build(),
            revocations: meter
                .u64_counter("postern.worker.revocations")
                .with_description("Attempts to revoke a grant by platform and outcome")
                .build(),
            messages: meter
                .u64_counter("postern.worker.factor_messages")
                .with_description("Messages of the second factor by method and outcome")
                .build(),
            syncs: meter
                .u64_counter("postern.worker.syncs")
                .with_description("Syncs by platform and outcome")
                .build(),
            sync_lag: meter
                .f64_histogram("postern.worker.sync.lag")
                .with_unit("s")
                .with_description("Time from when an account was due for a sync to when a worker leased it")
                .build(),
            refreshes: meter
                .u64_counter("postern.worker.refreshes")
                .with_description("Token refreshes by platform and outcome")
                .build(),
            pauses: meter
                .u64_counter("postern.worker.pauses")
                .with_description("Rate limits that platforms reported, by platform and scope")
                .build(),
            platform_busy: meter
                .u64_counter("postern.worker.platform_busy")
                .with_description("Jobs refused because the concurrency bound of their platform was reached")
                .build(),
            inboxes: meter
                .u64_counter("postern.worker.inbox_reads")
                .with_description("Reads of the inboxes of bots by platform and outcome")
                .build(),
        }
    }

    /// Counts a job that ended: `ok`, an error code, or `late`.
    pub(crate) fn job(&self, command: &'static str, outcome: &'static str, took: Duration) {
        let command = KeyValue::new("command", command);
        self.job_seconds
            .record(took.as_secs_f64(), std::slice::from_ref(&command));
        self.jobs.add(1, &[command, KeyValue::new("outcome", outcome)]);
    }

    /// Counts a running job until the guard is dropped.
    pub(crate) fn running(&self, lane: Lane) -> Counted {
        Counted::of(lane, &self.running)
    }

    /// Counts a claimed job that waits, until the guard is dropped.
    pub(crate) fn waiting(&self, lane: Lane) -> Counted {
        Counted::of(lane, &self.waiting)
    }

    /// Counts an exchange: `granted`, or the error code.
    pub(crate) fn exchange(&self, account: AccountType, outcome: &'static str) {
        self.exchanges.add(1, &of_platform(account, outcome));
    }

    /// Counts the relay of one user's events.
    pub(crate) fn relay(&self, relayed: Relayed) {
        self.relayed.add(relayed.sent, &[]);
        self.relays_stopped.add(u64::from(relayed.stopped), &[]);
    }

    /// Counts events that will be published again.
    pub(crate) fn resent(&self, events: u64) {
        self.resent.add(events, &[]);
    }

    /// Counts an attempt to revoke a grant: `done`, `unknown_token`, `retried`, `dead` or `lost`.
    pub(crate) fn revocation(&self, account: AccountType, outcome: &'static str) {
        self.revocations.add(1, &of_platform(account, outcome));
    }

    /// Counts a sync: `ok`, `failed`, `paused` or `lost`.
    pub(crate) fn sync(&self, account: AccountType, outcome: &'static str) {
        self.syncs.add(1, &of_platform(account, outcome));
    }

    /// Records how late an account was leased for its sync.
    pub(crate) fn sync_lag(&self, account: AccountType, late: Duration) {
        let platform = [KeyValue::new("platform", account.as_str())];
        self.sync_lag.record(late.as_secs_f64(), &platform);
    }

    /// Counts a token refresh: `granted`, or the failure.
    pub(crate) fn refresh(&self, account: AccountType, outcome: &'static str) {
        self.refreshes.add(1, &of_platform(account, outcome));
    }

    /// Counts a rate limit of a platform, for one `account` or the whole `app`.
    pub(crate) fn pause(&self, account: AccountType, whose: &'static str) {
        let platform = KeyValue::new("platform", account.as_str());
        self.pauses.add(1, &[platform, KeyValue::new("whose", whose)]);
    }

    /// Counts a job refused because the concurrency bound of its platform was reached.
    pub(crate) fn platform_busy(&self, account: AccountType) {
        let platform = [KeyValue::new("platform", account.as_str())];
        self.platform_busy.add(1, &platform);
    }

    /// Counts a read of an inbox: `ok`, `failed`, `refused` or `throttled`.
    pub(crate) fn inbox(&self, account: AccountType, outcome: &'static str) {
        self.inboxes.add(1, &of_platform(account, outcome));
    }

    /// Counts a message of the second factor: `sent`, or the failure.
    pub(crate) fn message(&self, method: FactorMethod, outcome: &'static str) {
        let method = KeyValue::new("method", method.as_str());
        self.messages.add(1, &[method, KeyValue::new("outcome", outcome)]);
    }
}

/// Guard that counts one job of a lane until it is dropped.
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
