//! Instruments of a worker.

mod backlog;
mod label;
mod message;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};
use protocol::account::AccountType;
use protocol::cluster::job::{Lane, Work};
use protocol::code::ErrorCode;
use protocol::security::FactorMethod;
use store::Relayed;

use message::{MessageMetrics, MessageTimer};

pub(crate) use backlog::{BacklogGauges, Backlogs};
pub(crate) use label::{
    AppWebhookLabel, ExchangeLabel, InboxReadLabel, MessageLabel, PauseLabel, RefreshLabel, RevocationLabel, SyncLabel,
};

/// Instruments of a worker. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    jobs: Counter<u64>,
    job_duration: Histogram<f64>,
    running: UpDownCounter<i64>,
    waiting: UpDownCounter<i64>,
    exchanges: Counter<u64>,
    relayed: Counter<u64>,
    relays_stopped: Counter<u64>,
    resent: Counter<u64>,
    revocations: Counter<u64>,
    app_webhooks: Counter<u64>,
    messages: MessageMetrics,
    syncs: Counter<u64>,
    sync_lag: Histogram<f64>,
    refreshes: Counter<u64>,
    pauses: Counter<u64>,
    platform_busy: Counter<u64>,
    inboxes: Counter<u64>,
    backlogs: BacklogGauges,
}

impl Metrics {
    /// Builds the instruments, each counter with all its series at zero.
    pub(crate) fn new(meter: &Meter) -> Self {
        let counter = |name: &'static str, description: &'static str| {
            meter.u64_counter(name).with_description(description).build()
        };
        let up_down_counter = |name: &'static str, description: &'static str| {
            let counter = meter.i64_up_down_counter(name).with_description(description);
            counter.build()
        };
        let seconds = |name: &'static str, description: &'static str| {
            let histogram = meter.f64_histogram(name).with_unit("s");
            histogram.with_description(description).build()
        };
        let metrics = Self {
            jobs: counter("postern.worker.jobs", "Jobs by command and outcome"),
            job_duration: seconds(
                "postern.worker.job.duration",
                "Time from the claim of a job to its outcome",
            ),
            running: up_down_counter("postern.worker.jobs_running", "Running jobs by lane"),
            waiting: up_down_counter(
                "postern.worker.jobs_waiting",
                "Claimed jobs that wait for a slot of their user or a permit of their lane",
            ),
            exchanges: counter(
                "postern.worker.exchanges",
                "Exchanges of authorization codes by platform and outcome",
            ),
            relayed: counter(
                "postern.worker.outbox.relayed",
                "Events of the outbox that were published to the bus",
            ),
            relays_stopped: counter(
                "postern.worker.outbox.stopped",
                "Relays that stopped because the bus refused an event",
            ),
            resent: counter(
                "postern.worker.outbox.resent",
                "Events published again because the bus had lost their event log",
            ),
            revocations: counter(
                "postern.worker.revocations",
                "Attempts to revoke a grant by platform and outcome",
            ),
            app_webhooks: counter(
                "postern.worker.app_webhooks",
                "Requests that send a webhook to the application, by outcome",
            ),
            messages: MessageMetrics::new(meter),
            syncs: counter("postern.worker.syncs", "Syncs by platform and outcome"),
            sync_lag: seconds(
                "postern.worker.sync.lag",
                "Time from when an account was due for a sync to when a worker leased it",
            ),
            refreshes: counter("postern.worker.refreshes", "Token refreshes by platform and outcome"),
            pauses: counter(
                "postern.worker.pauses",
                "Rate limits that platforms reported, by platform and scope",
            ),
            platform_busy: counter(
                "postern.worker.platform_busy",
                "Jobs refused because the concurrency bound of their platform was reached",
            ),
            inboxes: counter(
                "postern.worker.inbox_reads",
                "Reads of the inboxes of bots by platform and outcome",
            ),
            backlogs: BacklogGauges::new(meter),
        };
        metrics.start_at_zero();
        metrics
    }

    /// Creates every series of the counters: a series that appeared with its first event would hide that event from `rate` and
    /// `increase`.
    fn start_at_zero(&self) {
        for command in Work::names() {
            let outcomes = ErrorCode::ALL.map(ErrorCode::as_str);
            for outcome in outcomes.into_iter().chain([OK, LATE]) {
                self.jobs.add(0, &of_job(command, outcome));
            }
        }
        for lane in Lane::ALL {
            drop((self.running(lane), self.waiting(lane)));
        }
        for counter in [&self.relayed, &self.relays_stopped, &self.resent] {
            counter.add(0, &[]);
        }
        for outcome in AppWebhookLabel::ALL {
            self.app_webhooks.add(0, &of_app_webhook(outcome));
        }
        for platform in AccountType::ALL {
            let zero = |counter: &Counter<u64>, outcomes: &[&'static str]| {
                for &outcome in outcomes {
                    counter.add(0, &of_platform(platform, outcome));
                }
            };
            zero(&self.exchanges, &ExchangeLabel::ALL.map(ExchangeLabel::as_str));
            zero(&self.revocations, &RevocationLabel::ALL.map(RevocationLabel::as_str));
            zero(&self.syncs, &SyncLabel::ALL.map(SyncLabel::as_str));
            zero(&self.refreshes, &RefreshLabel::ALL.map(RefreshLabel::as_str));
            zero(&self.inboxes, &InboxReadLabel::ALL.map(InboxReadLabel::as_str));
            for whose in PauseLabel::ALL {
                self.pauses.add(0, &of_pause(platform, whose));
            }
            self.platform_busy
                .add(0, &[KeyValue::new("platform", platform.as_str())]);
        }
        self.messages.start_at_zero();
    }

    /// Counts a job that ended: `ok`, an error code, or `late`.
    pub(crate) fn job(&self, command: &'static str, outcome: &'static str, took: Duration) {
        self.job_duration
            .record(took.as_secs_f64(), &[KeyValue::new("command", command)]);
        self.jobs.add(1, &of_job(command, outcome));
    }

    /// Counts a running job until the guard is dropped.
    pub(crate) fn running(&self, lane: Lane) -> Counted {
        Counted::of(lane, &self.running)
    }

    /// Counts a claimed job that waits, until the guard is dropped.
    pub(crate) fn waiting(&self, lane: Lane) -> Counted {
        Counted::of(lane, &self.waiting)
    }

    /// Counts an exchange of an authorization code.
    pub(crate) fn exchange(&self, account: AccountType, outcome: ExchangeLabel) {
        self.exchanges.add(1, &of_platform(account, outcome.as_str()));
    }

    /// Counts the relay of one user's events.
    pub(crate) fn relay(&self, relayed: Relayed) {
        self.relayed.add(relayed.sent, &[]);
        self.resent.add(relayed.resent, &[]);
        self.relays_stopped.add(u64::from(relayed.stopped), &[]);
    }

    /// Counts an attempt to revoke a grant.
    pub(crate) fn revocation(&self, account: AccountType, outcome: RevocationLabel) {
        self.revocations.add(1, &of_platform(account, outcome.as_str()));
    }

    /// Counts a request that sends a webhook to the application.
    pub(crate) fn app_webhook(&self, outcome: AppWebhookLabel) {
        self.app_webhooks.add(1, &of_app_webhook(outcome));
    }

    /// Counts a sync.
    pub(crate) fn sync(&self, account: AccountType, outcome: SyncLabel) {
        self.syncs.add(1, &of_platform(account, outcome.as_str()));
    }

    /// Records how late an account was leased for its sync.
    pub(crate) fn sync_lag(&self, account: AccountType, late: Duration) {
        let platform = [KeyValue::new("platform", account.as_str())];
        self.sync_lag.record(late.as_secs_f64(), &platform);
    }

    /// Counts a token refresh.
    pub(crate) fn refresh(&self, account: AccountType, outcome: RefreshLabel) {
        self.refreshes.add(1, &of_platform(account, outcome.as_str()));
    }

    /// Counts a rate limit of a platform.
    pub(crate) fn pause(&self, account: AccountType, whose: PauseLabel) {
        self.pauses.add(1, &of_pause(account, whose));
    }

    /// Counts a job refused because the concurrency bound of its platform was reached.
    pub(crate) fn platform_busy(&self, account: AccountType) {
        let platform = [KeyValue::new("platform", account.as_str())];
        self.platform_busy.add(1, &platform);
    }

    /// Counts a read of a bot's inbox.
    pub(crate) fn inbox(&self, account: AccountType, outcome: InboxReadLabel) {
        self.inboxes.add(1, &of_platform(account, outcome.as_str()));
    }

    /// Gauges of the backlogs in the store.
    pub(crate) fn backlogs(&self) -> BacklogGauges {
        self.backlogs.clone()
    }

    /// Starts the measurement of a message of the second factor.
    pub(crate) fn message(&self, method: FactorMethod) -> MessageTimer<'_> {
        self.messages.start(method)
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

fn of_job(command: &'static str, outcome: &'static str) -> [KeyValue; 2] {
    [KeyValue::new("command", command), KeyValue::new("outcome", outcome)]
}

fn of_app_webhook(outcome: AppWebhookLabel) -> [KeyValue; 1] {
    [KeyValue::new("outcome", outcome.as_str())]
}

fn of_pause(account: AccountType, whose: PauseLabel) -> [KeyValue; 2] {
    [
        KeyValue::new("platform", account.as_str()),
        KeyValue::new("whose", whose.as_str()),
    ]
}

fn of_platform(account: AccountType, outcome: &'static str) -> [KeyValue; 2] {
    [
        KeyValue::new("platform", account.as_str()),
        KeyValue::new("outcome", outcome),
    ]
}

/// Outcome of a job that succeeded.
pub(crate) const OK: &str = "ok";

/// Outcome of a job whose deadline passed.
pub(crate) const LATE: &str = "late";
