//! Worker: built from settings, spawned, drained.

mod assembly;
mod roles;

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Clock, DrainReport, Entropy, Latch, OutageReporter, Readiness, Tasks};
use opentelemetry::metrics::Meter;
use platforms::{BotInbox, Platform, WebhookVerifier};
use protocol::cluster::job::Lane;
use protocol::id::WorkerId;
use store::vault::Vault;
use tokio::sync::Notify;

use self::assembly::Assembly;
use crate::account::expire_pending_links;
use crate::app_webhook::{AppWebhookClient, AppWebhookSender};
use crate::audit::log_heads;
use crate::deliveries::InboxReader;
use crate::factor::MessageSenders;
use crate::jobs::{AnswerQueue, JobAnswers, LaneServer};
use crate::maintenance::{BacklogMonitor, Pruner};
use crate::metrics::Metrics;
use crate::outbox::{EventLogWatch, OutboxRelay, Sweep};
use crate::platform::Offered;
use crate::revocation::Revocations;
use crate::security::{AlertGroups, AlertQueue};
use crate::session::{confirm_ends, save_deadlines};
use crate::settings::Settings;
use crate::sync::Schedule;

pub use self::roles::{BusRoles, StoreRoles};

/// Identity and dependencies of a worker.
#[derive(Clone)]
pub struct Parts {
    /// Id of the worker in the cluster.
    pub id: WorkerId,
    /// Source of jobs and destination of events.
    pub bus: BusRoles,
    /// Durable state.
    pub store: StoreRoles,
    /// Encrypts tokens, answers and authorizations.
    pub vault: Arc<Vault>,
    /// Offered platforms; the others are `not_supported`.
    pub platforms: Vec<Arc<dyn Platform>>,
    /// Webhooks that accept deliveries; the others are `not_supported`.
    pub hooks: Vec<Arc<WebhookVerifier>>,
    /// Inboxes of bots to read.
    pub inboxes: Vec<Arc<dyn BotInbox>>,
    /// Senders of second-factor codes; methods without a sender are `not_supported`.
    pub message_senders: MessageSenders,
    /// Sender of webhooks to the application; without one none are sent.
    pub app_webhooks: Option<AppWebhookClient>,
    /// Time of day.
    pub clock: Arc<dyn Clock>,
    /// Randomness of states, verifiers and jitter.
    pub entropy: Arc<dyn Entropy>,
}

/// Worker that is built and not spawned.
pub struct Worker {
    repeatable_codes: Option<String>,
    lanes: Vec<(LaneServer, Latch)>,
    alert_groups: AlertGroups,
    job_answers: JobAnswers,
    sweep: Sweep,
    event_logs: EventLogWatch,
    revocations: Revocations,
    app_webhooks: Option<AppWebhookSender>,
    schedule: Schedule,
    inboxes: Vec<InboxReader>,
    pruner: Pruner,
    parts: Parts,
    metrics: Metrics,
    tasks: Tasks,
    readiness: Readiness,
}

impl Worker {
    /// Builds a worker with a part of readiness for each lane, which is ready once the lane was read; nothing is spawned.
    #[must_use]
    pub fn build(settings: Settings, parts: Parts, readiness: Readiness, meter: &Meter) -> Self {
        let metrics = Metrics::new(meter);
        let tasks = Tasks::new();
        let relay = Arc::new(OutboxRelay::new(
            Arc::clone(&parts.store.outbox),
            Arc::clone(&parts.bus.events),
            metrics.clone(),
        ));
        let (alert_queue, queue) = AlertQueue::new();
        let alert_groups = AlertGroups {
            alerts: Arc::clone(&parts.store.alerts),
            outbox: Arc::clone(&parts.store.outbox),
            relay: Arc::clone(&relay),
            queue,
        };
        let assembly = Assembly {
            id: parts.id.clone(),
            settings: &settings,
            parts: &parts,
            offered: Offered::new(&parts.platforms),
            relay,
            alert_queue,
            revocations_queued: Arc::new(Notify::new()),
            tasks: tasks.clone(),
            metrics: metrics.clone(),
        };
        let (finished, queue) = AnswerQueue::new();
        let job_answers = JobAnswers {
            jobs: Arc::clone(&parts.bus.jobs),
            queue,
            outage: OutageReporter::new("answer jobs"),
        };
        let lanes = assembly.lane_servers(finished).map(|server| {
            let latch = readiness.latch(task_name(server.lane));
            (server, latch)
        });
        let pruner = Pruner {
            retention: Arc::clone(&parts.store.retention),
            times: settings.retention,
            entropy: Arc::clone(&parts.entropy),
        };
        let sweep = Sweep::new(Arc::clone(&parts.store.outbox), Arc::clone(&assembly.relay));
        let event_logs = EventLogWatch {
            events: Arc::clone(&parts.bus.events),
            outbox: Arc::clone(&parts.store.outbox),
            relay: Arc::clone(&assembly.relay),
        };
        Self {
            lanes: lanes.into(),
            alert_groups,
            job_answers,
            sweep,
            event_logs,
            schedule: Schedule(assembly.syncer()),
            inboxes: assembly.inbox_readers(),
            revocations: assembly.revocations(),
            app_webhooks: assembly.app_webhooks(),
            pruner,
            repeatable_codes: settings.dangerous_repeatable_codes,
            parts,
            metrics,
            tasks,
            readiness,
        }
    }

    /// Spawns the worker. From here on [`Running`] owns every task.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn spawn(self) -> Running {
        let Self { tasks, parts, .. } = self;
        let Parts { store, bus, .. } = parts;
        if let Some(prefix) = &self.repeatable_codes {
            tracing::warn!(
                prefix,
                "dangerous setting: authorization codes with this prefix may be presented repeatedly"
            );
        }
        for (server, latch) in self.lanes {
            tasks.essential(task_name(server.lane), server.serve(latch));
        }
        // Both end with the last job: the lanes own the queues.
        tasks.essential("alert groups", self.alert_groups.run());
        tasks.essential("job answers", self.job_answers.run());
        let drain = || tasks.soft();
        let backlogs = BacklogMonitor {
            outbox: Arc::clone(&store.outbox),
            app_webhooks: store.app_webhooks,
            tasks: Arc::clone(&store.tasks),
            retention: store.retention,
            key_uses: store.key_uses,
            vault: parts.vault,
            gauges: self.metrics.backlogs(),
        };
        tasks.essential("backlogs", backlogs.run(drain()));
        tasks.essential("outbox sweep", self.sweep.run(drain()));
        tasks.essential("event logs", self.event_logs.run(drain()));
        let queued = Arc::clone(&self.revocations.wake);
        let expiry = expire_pending_links(store.pending_links, queued, parts.entropy, drain());
        tasks.essential("pending links", expiry);
        tasks.essential("revocations", self.revocations.run());
        if let Some(sender) = self.app_webhooks {
            tasks.essential("application webhooks", sender.run());
        }
        tasks.essential("syncs", self.schedule.run());
        for reader in self.inboxes {
            tasks.essential("bot's inbox", reader.run(drain()));
        }
        tasks.essential("audit heads", log_heads(store.audit, drain()));
        let (records, registry) = (Arc::clone(&store.sessions), Arc::clone(&bus.sessions));
        tasks.essential("session deadlines", save_deadlines(records, registry, drain()));
        tasks.essential("session ends", confirm_ends(store.sessions, bus.sessions, drain()));
        tasks.essential("retention", self.pruner.run(drain()));
        Running {
            tasks,
            readiness: self.readiness,
        }
    }
}

/// Running worker.
pub struct Running {
    tasks: Tasks,
    readiness: Readiness,
}

impl Running {
    /// Resolves with the name of the first essential task that ended; never, if none does.
    pub async fn failure(&self) -> &'static str {
        self.tasks.failure().await
    }

    /// Claims no more jobs, finishes the running ones, and cancels those that have not ended after `within`: another worker repeats
    /// them.
    pub async fn drain(self, within: Duration) -> DrainReport {
        self.readiness.drain();
        self.tasks.drain(within).await
    }
}

fn task_name(lane: Lane) -> &'static str {
    match lane {
        Lane::SignIn => "sign-in lane",
        Lane::Interactive => "interactive lane",
        Lane::Platform => "platform lane",
        Lane::Webhook => "webhook lane",
    }
}
