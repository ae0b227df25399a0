//! Services that all sockets share, and their background tasks.

use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, ChannelMessages, SessionKey, UserSubscriptions};
use lifecycle::{Clock, Entropy, Tasks};
use protocol::cluster::job::{Lane, Reply};
use protocol::id::NodeId;
use tokio::sync::{Notify, mpsc};

use super::NodeTasks;
use crate::bus_outage::BusOutage;
use crate::bus_roles::BusRoles;
use crate::command::Commands;
use crate::handshake::authenticator::Authenticator;
use crate::handshake::token::TokenVerifier;
use crate::hub::Hub;
use crate::join_checks::JoinChecks;
use crate::metrics::Metrics;
use crate::presence::PresenceRegistry;
use crate::session::SessionMonitor;
use crate::settings::Settings;
use crate::workers::WorkerClient;

/// Parts of the process that services are built from.
pub(super) struct Environment {
    pub(super) node: NodeId,
    pub(super) bus: BusRoles,
    pub(super) outage: Arc<BusOutage>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) metrics: Arc<Metrics>,
    /// Owner of the tasks that serve connections.
    pub(super) tasks: Tasks,
}

/// Services of one gateway.
pub(super) struct Services {
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) hub: Arc<Hub>,
    pub(super) workers: Arc<WorkerClient>,
    pub(super) sessions: Arc<SessionMonitor>,
    pub(super) presence: Arc<PresenceRegistry>,
    pub(super) commands: Arc<Commands>,
    pub(super) join_checks: Arc<JoinChecks>,
    token_refusals_every: Duration,
    metrics: Arc<Metrics>,
}

/// Subscriptions of one gateway on the bus. They end when this value, or the gateway that is built with it, is dropped.
pub struct Subscriptions {
    feed: Arc<dyn UserSubscriptions>,
    received: ChannelMessages,
    replies: mpsc::Receiver<Reply>,
}

impl Subscriptions {
    /// Opens the subscriptions of this node.
    pub(super) async fn open(bus: &BusRoles, node: &NodeId) -> Result<Self, BusError> {
        let (feed, received) = bus.events.listen().await?;
        let replies = bus.jobs.subscribe_replies(node).await?;
        Ok(Self {
            feed,
            received,
            replies,
        })
    }
}

/// Messages that the background tasks receive.
pub(super) struct Inputs {
    received: ChannelMessages,
    replies: mpsc::Receiver<Reply>,
    expiries: mpsc::Receiver<SessionKey>,
    session_hints: mpsc::Receiver<SessionKey>,
}

impl Services {
    /// Creates the services.
    pub(super) fn build(
        env: &Environment,
        settings: &Settings,
        tokens: TokenVerifier,
        subscriptions: Subscriptions,
    ) -> (Self, Inputs) {
        let Environment {
            bus,
            outage,
            clock,
            entropy,
            metrics,
            ..
        } = env;
        let Subscriptions {
            feed,
            received,
            replies,
        } = subscriptions;
        let (hints, session_hints) = mpsc::channel(SESSION_HINTS);
        let deliveries = settings.traces.deliveries;
        let hub = Hub::new(bus, Arc::clone(outage), feed, deliveries, Arc::clone(metrics));
        let workers = WorkerClient::new(
            (Arc::clone(&bus.jobs), Arc::clone(outage)),
            env.node.clone(),
            Arc::clone(entropy),
        );
        let workers = Arc::new(workers);
        let presence = PresenceRegistry::new(
            (Arc::clone(&bus.presence), Arc::clone(&bus.events), Arc::clone(outage)),
            env.node.clone(),
            settings.max_sockets_per_user,
            Arc::clone(clock),
            Arc::clone(entropy),
        );
        let sessions = Arc::new(SessionMonitor::new(
            (bus, Arc::clone(outage)),
            (Arc::clone(&workers), settings.tokens.limits.longest_lifetime()),
            hints,
            Arc::clone(clock),
            Arc::clone(entropy),
            env.tasks.clone(),
            Arc::clone(metrics),
        ));
        let commands = Commands::new(
            (Arc::clone(&bus.jobs), Arc::clone(&bus.limits), Arc::clone(outage)),
            (Arc::clone(&sessions), Arc::clone(&workers)),
            (settings.timing, settings.command_rate, settings.traces.client_context),
            env.tasks.clone(),
            Arc::clone(metrics),
        );
        let join_checks = JoinChecks::new(
            (Arc::clone(&bus.hints), Arc::clone(&bus.limits), Arc::clone(outage)),
            Arc::clone(&workers),
            settings.timing.job_timeout(Lane::Interactive),
            Arc::clone(entropy),
        );
        let services = Self {
            authenticator: Arc::new(Authenticator::new(tokens, Arc::clone(clock), Arc::clone(metrics))),
            hub: Arc::new(hub),
            workers,
            sessions,
            presence: Arc::new(presence),
            commands: Arc::new(commands),
            join_checks: Arc::new(join_checks),
            token_refusals_every: settings.timing.token_refusals,
            metrics: Arc::clone(metrics),
        };
        let inputs = Inputs {
            received,
            replies,
            expiries: bus.sessions.expiries(),
            session_hints,
        };
        (services, inputs)
    }

    /// Spawns the background tasks.
    pub(super) fn spawn(self, inputs: Inputs, tasks: &NodeTasks) {
        let NodeTasks { connections, core } = tasks;
        let [replies_missed, ends_missed] = [(); 2].map(|()| Arc::new(Notify::new()));
        let missed = [Arc::clone(&replies_missed), Arc::clone(&ends_missed)];
        let hub = Arc::clone(&self.hub);
        core.essential("hub", Arc::clone(&hub).deliver(inputs.received, missed, core.soft()));
        core.essential("hub queries", Arc::clone(&hub).query(core.soft()));
        core.essential("resume tokens", hub.renew_resume_tokens(core.soft()));
        let commands = Arc::clone(&self.commands);
        core.essential("refusals", Arc::clone(&commands).report_refusals(core.soft()));
        core.essential("replies", commands.run(inputs.replies, replies_missed, core.soft()));
        let token_refusals = self
            .authenticator
            .report_refusals(self.token_refusals_every, core.soft());
        core.essential("token refusals", token_refusals);
        let sessions = self
            .sessions
            .run(inputs.expiries, inputs.session_hints, ends_missed, core.soft());
        core.essential("sessions", sessions);
        core.essential("lane checks", self.workers.watch_lanes(self.metrics, core.soft()));
        core.essential("presence", self.presence.run(core.soft()));
        connections.essential("join checks", self.join_checks.run(connections.soft()));
    }
}

/// Pending hints of sessions whose deadline may have changed.
const SESSION_HINTS: usize = 4096;
