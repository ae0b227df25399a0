//! Assembly of a worker's services from its settings and parts.

use std::sync::Arc;

use lifecycle::{OutageReporter, Tasks};
use platforms::BotInbox;
use protocol::cluster::job::Lane;
use protocol::id::WorkerId;
use tokio::sync::Notify;

use super::Parts;
use crate::account::{AccountPermits, AccountService, Authorizations};
use crate::app_webhook::AppWebhookSender;
use crate::audit::Refusals;
use crate::deliveries::{Addressees, InboxReader, Webhooks};
use crate::factor::{FactorChallenges, FactorService};
use crate::jobs::{AnswerQueue, Dispatch, LaneServer, Runner, UserSlots};
use crate::metrics::Metrics;
use crate::outbox::OutboxRelay;
use crate::platform::Offered;
use crate::revocation::Revocations;
use crate::security::{AlertQueue, PageCursors, SecurityService};
use crate::session::{LiveSessions, SessionService};
use crate::settings::Settings;
use crate::sync::Syncer;

/// Values that the services of one worker share.
pub(super) struct Assembly<'a> {
    pub(super) id: WorkerId,
    pub(super) settings: &'a Settings,
    pub(super) parts: &'a Parts,
    pub(super) offered: Offered,
    pub(super) relay: Arc<OutboxRelay>,
    pub(super) alert_queue: AlertQueue,
    /// Notified when a revocation may have been queued.
    pub(super) revocations_queued: Arc<Notify>,
    pub(super) tasks: Tasks,
    pub(super) metrics: Metrics,
}

impl Assembly<'_> {
    pub(super) fn syncer(&self) -> Syncer {
        let Parts { store, .. } = self.parts;
        Syncer {
            accounts: Arc::clone(&store.accounts),
            syncs: Arc::clone(&store.syncs),
            refreshes: Arc::clone(&store.refreshes),
            offered: self.offered.clone(),
            vault: Arc::clone(&self.parts.vault),
            relay: Arc::clone(&self.relay),
            clock: Arc::clone(&self.parts.clock),
            entropy: Arc::clone(&self.parts.entropy),
            tasks: self.tasks.clone(),
            metrics: self.metrics.clone(),
        }
    }

    pub(super) fn revocations(&self) -> Revocations {
        let Parts { store, .. } = self.parts;
        Revocations {
            worker: self.id.clone(),
            queue: Arc::clone(&store.tasks),
            accounts: Arc::clone(&store.accounts),
            pauses: Arc::clone(&store.pauses),
            offered: self.offered.clone(),
            vault: Arc::clone(&self.parts.vault),
            wake: Arc::clone(&self.revocations_queued),
            clock: Arc::clone(&self.parts.clock),
            entropy: Arc::clone(&self.parts.entropy),
            tasks: self.tasks.clone(),
            metrics: self.metrics.clone(),
        }
    }

    /// Sender of webhooks to the application, if it has a receiver.
    pub(super) fn app_webhooks(&self) -> Option<AppWebhookSender> {
        let client = self.parts.app_webhooks.as_ref()?;
        Some(AppWebhookSender {
            worker: self.id.clone(),
            webhooks: Arc::clone(&self.parts.store.app_webhooks),
            client: client.clone(),
            clock: Arc::clone(&self.parts.clock),
            entropy: Arc::clone(&self.parts.entropy),
            tasks: self.tasks.clone(),
            metrics: self.metrics.clone(),
        })
    }

    pub(super) fn inbox_readers(&self) -> Vec<InboxReader> {
        let reader = |inbox: &Arc<dyn BotInbox>| InboxReader {
            inbox: Arc::clone(inbox),
            inboxes: Arc::clone(&self.parts.store.inboxes),
            pauses: Arc::clone(&self.parts.store.pauses),
            addressees: self.addressees(),
            metrics: self.metrics.clone(),
        };
        self.parts.inboxes.iter().map(reader).collect()
    }

    /// Servers of all lanes, whose jobs answer through this queue.
    pub(super) fn lane_servers(&self, finished: AnswerQueue) -> [LaneServer; Lane::ALL.len()] {
        let (runner, slots) = (Arc::new(self.runner(finished)), UserSlots::default());
        Lane::ALL.map(|lane| LaneServer {
            lane,
            worker: self.id.clone(),
            concurrency: self.settings.concurrency.of(lane),
            slots: slots.clone(),
            jobs: Arc::clone(&self.parts.bus.jobs),
            runner: Arc::clone(&runner),
            entropy: Arc::clone(&self.parts.entropy),
            tasks: self.tasks.clone(),
            metrics: self.metrics.clone(),
        })
    }

    fn runner(&self, finished: AnswerQueue) -> Runner {
        let Parts { store, .. } = self.parts;
        Runner {
            dispatch: self.dispatch(),
            finished,
            answers: Arc::clone(&store.answers),
            sessions: Arc::clone(&store.sessions),
            vault: Arc::clone(&self.parts.vault),
            relay: Arc::clone(&self.relay),
            revocations: Arc::clone(&self.revocations_queued),
            metrics: self.metrics.clone(),
            execution: OutageReporter::new("execute jobs"),
        }
    }

    fn dispatch(&self) -> Dispatch {
        let factor = Arc::new(self.factor());
        let session = Arc::new(self.session());
        Dispatch {
            account: self.account(),
            security: self.security(&factor, &session),
            factor,
            session,
            refusals: Refusals(Arc::clone(&self.parts.store.audit)),
            relay: Arc::clone(&self.relay),
            webhooks: Webhooks {
                hooks: self.parts.hooks.clone(),
                addressees: self.addressees(),
                clock: Arc::clone(&self.parts.clock),
            },
        }
    }

    fn account(&self) -> AccountService {
        let Parts { store, bus, .. } = self.parts;
        AccountService {
            accounts: Arc::clone(&store.accounts),
            pending_links: Arc::clone(&store.pending_links),
            pauses: Arc::clone(&store.pauses),
            revocations: Arc::clone(&store.tasks),
            events: Arc::clone(&bus.events),
            authorizations: Authorizations::new(Arc::clone(&bus.challenges), Arc::clone(&self.parts.vault)),
            vault: Arc::clone(&self.parts.vault),
            offered: self.offered.clone(),
            permits: AccountPermits::new(self.settings.concurrency, &self.metrics),
            syncer: self.syncer(),
            redirects: self.settings.redirects.clone(),
            connect_state: self.settings.connect_state,
            repeatable_codes: self.settings.dangerous_repeatable_codes.clone(),
            clock: Arc::clone(&self.parts.clock),
            entropy: Arc::clone(&self.parts.entropy),
            tasks: self.tasks.clone(),
            metrics: self.metrics.clone(),
        }
    }

    fn factor(&self) -> FactorService {
        let Parts { store, bus, .. } = self.parts;
        FactorService {
            store: Arc::clone(&store.security),
            challenges: FactorChallenges::new(Arc::clone(&bus.challenges), Arc::clone(&self.parts.entropy)),
            sessions: Arc::clone(&bus.sessions),
            live: LiveSessions(Arc::clone(&bus.sessions)),
            vault: Arc::clone(&self.parts.vault),
            clock: Arc::clone(&self.parts.clock),
            entropy: Arc::clone(&self.parts.entropy),
            limits: Arc::clone(&bus.limits),
            message_senders: self.parts.message_senders.clone(),
            tasks: self.tasks.clone(),
            metrics: self.metrics.clone(),
        }
    }

    fn session(&self) -> SessionService {
        let Parts { store, bus, .. } = self.parts;
        SessionService {
            records: Arc::clone(&store.sessions),
            security: Arc::clone(&store.security),
            registry: Arc::clone(&bus.sessions),
            presence: Arc::clone(&bus.presence),
            times: self.settings.sessions,
            clock: Arc::clone(&self.parts.clock),
        }
    }

    fn security(&self, factor: &Arc<FactorService>, session: &Arc<SessionService>) -> SecurityService {
        let Parts { store, bus, .. } = self.parts;
        SecurityService {
            records: Arc::clone(&store.security),
            alerts: Arc::clone(&store.alerts),
            alert_queue: self.alert_queue.clone(),
            devices: Arc::clone(&store.devices),
            accounts: Arc::clone(&store.accounts),
            audit: Arc::clone(&store.audit),
            challenges: Arc::clone(&bus.challenges),
            hints: Arc::clone(&bus.hints),
            cursors: PageCursors(Arc::clone(&self.parts.vault)),
            relay: Arc::clone(&self.relay),
            factor: Arc::clone(factor),
            session: Arc::clone(session),
            clock: Arc::clone(&self.parts.clock),
            entropy: Arc::clone(&self.parts.entropy),
        }
    }

    fn addressees(&self) -> Addressees {
        Addressees {
            store: Arc::clone(&self.parts.store.deliveries),
            relay: Arc::clone(&self.relay),
        }
    }
}
