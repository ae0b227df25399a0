//! Worker: built from settings, spawned, drained.

use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use lifecycle::{Clock, Condition, DrainReport, Entropy, Latch, Readiness, Tasks};
use opentelemetry::metrics::Meter;
use platforms::{BotInbox, Platform, WebhookVerifier};
use protocol::cluster::job::Lane;
use protocol::id::WorkerId;
use store::Store;
use store::vault::Vault;
use tokio::sync::Notify;

use crate::account::{AccountPermits, AccountService, Authorizations, expire_pending_links};
use crate::audit::{Refusals, log_heads};
use crate::deliveries::{Addressees, InboxReader, Webhooks};
use crate::factor::{FactorChallenges, FactorService, MessageSenders};
use crate::jobs::{Dispatch, LaneServer, Runner, UserSlots};
use crate::maintenance::{prune, watch_bus};
use crate::metrics::Metrics;
use crate::outbox::{OutboxRelay, Sweep, watch_memory};
use crate::platform::Offered;
use crate::revocation::Revocations;
use crate::security::SecurityService;
use crate::session::{LiveSessions, SessionService, confirm_ends, save_deadlines};
use crate::settings::Settings;
use crate::sync::{Schedule, Syncer};

/// Dependencies of a worker.
#[derive(Clone)]
pub struct Parts {
    /// Source of jobs and destination of events.
    pub bus: Arc<dyn Bus>,
    /// Durable state.
    pub store: Arc<dyn Store>,
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
    /// Time of day.
    pub clock: Arc<dyn Clock>,
    /// Randomness of states, verifiers and jitter.
    pub entropy: Arc<dyn Entropy>,
}

/// Worker that is built and not spawned.
pub struct Worker {
    id: WorkerId,
    repeatable_codes: Option<String>,
    lanes: Vec<(LaneServer, Latch)>,
    sweep: (Sweep, Condition),
    revocations: Revocations,
    schedule: Schedule,
    inboxes: Vec<InboxReader>,
    parts: Parts,
    metrics: Metrics,
    tasks: Tasks,
    readiness: Readiness,
}

impl Worker {
    /// Builds a worker; nothing is spawned.
    #[must_use]
    pub fn build(settings: Settings, parts: Parts, meter: &Meter) -> Self {
        let metrics = Metrics::new(meter);
        let tasks = Tasks::new();
        let readiness = Readiness::new();
        let id = new_worker_id(&*parts.entropy);
        let offered = Offered::new(&parts.platforms);
        let relay = Arc::new(OutboxRelay::new(
            Arc::<dyn Store>::clone(&parts.store),
            Arc::<dyn Bus>::clone(&parts.bus),
            metrics.clone(),
        ));
        let wake = Arc::new(Notify::new());

        let syncer = Syncer {
            store: Arc::<dyn Store>::clone(&parts.store),
            offered: offered.clone(),
            vault: Arc::clone(&parts.vault),
            relay: Arc::clone(&relay),
            clock: Arc::clone(&parts.clock),
            entropy: Arc::clone(&parts.entropy),
            tasks: tasks.clone(),
            metrics: metrics.clone(),
        };
        let account = AccountService {
            store: Arc::<dyn Store>::clone(&parts.store),
            events: Arc::<dyn Bus>::clone(&parts.bus),
            authorizations: Authorizations::new(Arc::<dyn Bus>::clone(&parts.bus), Arc::clone(&parts.vault)),
            vault: Arc::clone(&parts.vault),
            offered: offered.clone(),
            permits: AccountPermits::new(settings.concurrency, &metrics),
            syncer: syncer.clone(),
            redirects: settings.redirects,
            connect_state: settings.connect_state,
            repeatable_codes: settings.dangerous_repeatable_codes.clone(),
            clock: Arc::clone(&parts.clock),
            entropy: Arc::clone(&parts.entropy),
            tasks: tasks.clone(),
            metrics: metrics.clone(),
        };
        let factor = Arc::new(FactorService {
            store: Arc::<dyn Store>::clone(&parts.store),
            challenges: FactorChallenges::new(Arc::<dyn Bus>::clone(&parts.bus), Arc::clone(&parts.entropy)),
            sessions: Arc::<dyn Bus>::clone(&parts.bus),
            live: LiveSessions(Arc::<dyn Bus>::clone(&parts.bus)),
            vault: Arc::clone(&parts.vault),
            clock: Arc::clone(&parts.clock),
            entropy: Arc::clone(&parts.entropy),
            limits: Arc::<dyn Bus>::clone(&parts.bus),
            message_senders: parts.message_senders.clone(),
            tasks: tasks.clone(),
            metrics: metrics.clone(),
        });
        let session = Arc::new(SessionService {
            store: Arc::<dyn Store>::clone(&parts.store),
            bus: Arc::<dyn Bus>::clone(&parts.bus),
            times: settings.sessions,
            clock: Arc::clone(&parts.clock),
        });
        let security = SecurityService {
            store: Arc::<dyn Store>::clone(&parts.store),
            challenges: Arc::<dyn Bus>::clone(&parts.bus),
            hints: Arc::<dyn Bus>::clone(&parts.bus),
            relay: Arc::clone(&relay),
            factor: Arc::clone(&factor),
            session: Arc::clone(&session),
            clock: Arc::clone(&parts.clock),
            entropy: Arc::clone(&parts.entropy),
        };
        let addressees = Addressees {
            store: Arc::<dyn Store>::clone(&parts.store),
            relay: Arc::clone(&relay),
        };
        let inbox_reader = |inbox: &Arc<dyn BotInbox>| InboxReader {
            inbox: Arc::clone(inbox),
            store: Arc::<dyn Store>::clone(&parts.store),
            addressees: addressees.clone(),
            metrics: metrics.clone(),
        };
        let inboxes = parts.inboxes.iter().map(inbox_reader).collect();
        let webhooks = Webhooks {
            hooks: parts.hooks.clone(),
            addressees,
            clock: Arc::clone(&parts.clock),
        };
        let runner = Arc::new(Runner {
            dispatch: Dispatch {
                account,
                factor,
                security,
                refusals: Refusals(Arc::<dyn Store>::clone(&parts.store)),
                session,
                webhooks,
            },
            jobs: Arc::<dyn Bus>::clone(&parts.bus),
            answers: Arc::<dyn Store>::clone(&parts.store),
            sessions: Arc::<dyn Store>::clone(&parts.store),
            vault: Arc::clone(&parts.vault),
            relay: Arc::clone(&relay),
            revocations: Arc::clone(&wake),
            metrics: metrics.clone(),
        });
        let slots = UserSlots::default();
        let lane_server = |lane: Lane| LaneServer {
            lane,
            worker: id.clone(),
            concurrency: settings.concurrency.of(lane),
            slots: slots.clone(),
            jobs: Arc::<dyn Bus>::clone(&parts.bus),
            runner: Arc::clone(&runner),
            entropy: Arc::clone(&parts.entropy),
            tasks: tasks.clone(),
            metrics: metrics.clone(),
        };
        Self {
            lanes: Lane::ALL
                .map(|lane| (lane_server(lane), readiness.latch(task_name(lane))))
                .into(),
            sweep: (
                Sweep::new(Arc::<dyn Store>::clone(&parts.store), relay),
                readiness.condition("store"),
            ),
            schedule: Schedule(syncer),
            inboxes,
            revocations: Revocations {
                worker: id.clone(),
                queue: Arc::<dyn Store>::clone(&parts.store),
                accounts: Arc::<dyn Store>::clone(&parts.store),
                pauses: Arc::<dyn Store>::clone(&parts.store),
                offered,
                vault: Arc::clone(&parts.vault),
                wake,
                clock: Arc::clone(&parts.clock),
                entropy: Arc::clone(&parts.entropy),
                tasks: tasks.clone(),
                metrics: metrics.clone(),
            },
            id,
            repeatable_codes: settings.dangerous_repeatable_codes,
            parts,
            metrics,
            tasks,
            readiness,
        }
    }

    /// Readiness: each lane was read once, the store answered, the bus is live.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Spawns the worker. From here on [`Running`] owns every task.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn spawn(self) -> Running {
        let Self { tasks, parts, .. } = self;
        tracing::info!(worker = %self.id, "worker started");
        if let Some(prefix) = &self.repeatable_codes {
            tracing::warn!(
                prefix,
                "dangerous setting: authorization codes with this prefix may be presented repeatedly"
            );
        }
        for (server, latch) in self.lanes {
            tasks.essential(task_name(server.lane), server.serve(latch));
        }
        let (sweep, store) = self.sweep;
        tasks.essential("outbox sweep", sweep.run(store, tasks.soft()));
        let memory = watch_memory(
            Arc::<dyn Bus>::clone(&parts.bus),
            Arc::<dyn Store>::clone(&parts.store),
            self.metrics,
            tasks.soft(),
        );
        tasks.essential("bus memory", memory);
        let live = watch_bus(
            Arc::<dyn Bus>::clone(&parts.bus),
            self.readiness.condition("bus"),
            tasks.soft(),
        );
        tasks.essential("bus liveness", live);
        let unconfirmed = expire_pending_links(
            Arc::<dyn Store>::clone(&parts.store),
            Arc::clone(&self.revocations.wake),
            Arc::clone(&parts.entropy),
            tasks.soft(),
        );
        tasks.essential("pending links", unconfirmed);
        tasks.essential("revocations", self.revocations.run());
        tasks.essential("syncs", self.schedule.run());
        for reader in self.inboxes {
            tasks.essential("bot's inbox", reader.run(tasks.soft()));
        }
        tasks.essential(
            "audit heads",
            log_heads(Arc::<dyn Store>::clone(&parts.store), tasks.soft()),
        );
        let deadlines = save_deadlines(
            Arc::<dyn Store>::clone(&parts.store),
            Arc::<dyn Bus>::clone(&parts.bus),
            tasks.soft(),
        );
        tasks.essential("session deadlines", deadlines);
        let ends = confirm_ends(
            Arc::<dyn Store>::clone(&parts.store),
            Arc::<dyn Bus>::clone(&parts.bus),
            tasks.soft(),
        );
        tasks.essential("session ends", ends);
        tasks.essential("upkeep", prune(parts.store, tasks.soft()));
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

#[expect(clippy::expect_used, reason = "a token has 22 printable ASCII characters")]
fn new_worker_id(entropy: &dyn Entropy) -> WorkerId {
    WorkerId::new(entropy.token()).expect("a token is an id")
}
