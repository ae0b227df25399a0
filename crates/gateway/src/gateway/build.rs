//! Composition of a gateway from its settings.

use std::sync::Arc;

use protocol::cluster::job::Lane;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::build_error::BuildError;
use super::drain::Drain;
use super::prepare::{PreparedGateway, Runtime};
use super::services::{Environment, Services, Subscriptions};
use super::{Acceptor, Gateway};
use crate::bus_outage::BusOutage;
use crate::bus_roles::BusRoles;
use crate::connection::{
    Authentication, Bounds, Connections, DrainWindow, HandoverCounts, JoinRate, Joining, LinkSettings, Resumption,
    Serving,
};
use crate::deflate::DeflatePool;
use crate::http::callback::{CallbackBus, Callbacks};
use crate::http::internal::{ApiDrain, CallerBudgets, Internal, InternalApi, RestoreRequests};
use crate::http::webhook::Webhooks;
use crate::http::{Available, Http};
use crate::hub::Hub;
use crate::listener::admission::Admission;
use crate::listener::tcp::Listener;
use crate::rate::{LOG_RATE, LogLimits};
use crate::settings::Settings;
use crate::socket_limit::SocketLimit;

impl Gateway {
    /// Prepares a gateway and builds it on a bus that is there.
    ///
    /// # Errors
    /// [`BuildError`] of the first step that fails.
    pub async fn build(settings: Settings, bus: impl Into<BusRoles>, runtime: Runtime) -> Result<Self, BuildError> {
        let (prepared, bus) = (Self::prepare(settings, runtime).await?, bus.into());
        let subscriptions = prepared.subscribe(&bus).await?;
        prepared.build(bus, subscriptions)
    }
}

impl PreparedGateway {
    /// Builds the gateway: its port listens from here on. Spawns nothing.
    ///
    /// # Errors
    /// [`BuildError::Listen`].
    pub fn build(self, bus: BusRoles, subscriptions: Subscriptions) -> Result<Gateway, BuildError> {
        let Self {
            settings,
            runtime,
            metrics,
            ..
        } = self;
        let tasks = self.tasks;
        let env = Environment {
            node: self.node,
            bus,
            outage: Arc::new(BusOutage::new()),
            clock: runtime.clock,
            entropy: runtime.entropy,
            metrics: Arc::clone(&metrics),
            tasks: tasks.connections.clone(),
        };
        let listener = Listener::listen(self.socket, &settings, Arc::clone(&metrics))
            .map_err(|error| BuildError::Listen(settings.listen, error))?;
        let (services, inputs) = Services::build(&env, &settings, self.tokens, subscriptions);
        let soft = tasks.connections.soft();
        let connections = connections(&env, &settings, &services, listener.admission(), &soft);
        let drain = Drain {
            delay: settings.drain_delay,
            window: settings.drain_window,
            api: ApiDrain::default(),
            handover: Arc::clone(&connections.handover),
        };
        let (internal_tls, tls) = self.internal_tls.unzip();
        let internal_api =
            internal_api(&env, &settings, &services).map(|api| InternalApi::new(api, drain.api.clone(), tls));
        let certificate_every = settings.timing.certificate;
        let tls_within = settings.timing.tls;
        let entrance = (listener.admission(), self.sockets, soft);
        let http = Arc::new(http(&env, settings, &services, entrance));
        Ok(Gateway {
            acceptor: Acceptor {
                proxies: listener.proxies(),
                tls: self.tls,
                tls_within,
                http,
                connections,
                metrics,
            },
            listener,
            services,
            inputs,
            jwks_refresher: self.jwks_refresher,
            reloader: self.reloader,
            certificate_every,
            internal_api,
            internal_tls,
            listening: self.listening,
            readiness: runtime.readiness,
            tasks,
            drain,
        })
    }
}

fn connections(
    env: &Environment,
    settings: &Settings,
    services: &Services,
    admission: Admission,
    soft: &CancellationToken,
) -> Connections {
    let timing = &settings.timing;
    let resumption = Resumption {
        resume_tokens: Arc::clone(&env.bus.resume_tokens),
        events: Arc::clone(&env.bus.events),
    };
    Connections {
        links: links(env, settings, soft),
        authentication: Authentication {
            authenticator: Arc::clone(&services.authenticator),
            batch_interval: settings.batch_interval,
            entropy: Arc::clone(&env.entropy),
        },
        joining: Joining {
            rate: JoinRate::new(settings.user_connect_rate, Instant::now()),
            within: timing.join,
            sessions: Arc::clone(&services.sessions),
            hub: Arc::clone(&services.hub),
            presence: Arc::clone(&services.presence),
            resumption: resumption.clone(),
            clock: Arc::clone(&env.clock),
            entropy: Arc::clone(&env.entropy),
            metrics: Arc::clone(&env.metrics),
        },
        serving: Serving {
            commands: Arc::clone(&services.commands),
            sessions: Arc::clone(&services.sessions),
            authenticator: Arc::clone(&services.authenticator),
            resumption,
            clock: Arc::clone(&env.clock),
        },
        join_checks: Arc::clone(&services.join_checks),
        admission,
        close_within: timing.close,
        handover: Arc::new(HandoverCounts::default()),
        metrics: Arc::clone(&env.metrics),
    }
}

fn links(env: &Environment, settings: &Settings, soft: &CancellationToken) -> LinkSettings {
    LinkSettings {
        deflation: DeflatePool::new(settings.deflate_threshold),
        bounds: Bounds {
            heartbeat: settings.heartbeat,
            authentication: settings.timing.authentication,
            write: settings.timing.write,
            rate: settings.event_rate,
        },
        drain: DrainWindow {
            soft: soft.clone(),
            length: settings.drain_window,
            entropy: Arc::clone(&env.entropy),
        },
        durations: Arc::new(env.metrics.bus_durations(Arc::clone(&env.bus.liveness))),
    }
}

/// Returns the state of the internal API, if the settings have one.
fn internal_api(env: &Environment, settings: &Settings, services: &Services) -> Option<Internal> {
    let api = settings.internal_api.as_ref()?;
    Some(Internal {
        callers: api.callers.clone(),
        budgets: CallerBudgets::new(Instant::now()),
        refusal_log: LogLimits::new(LOG_RATE, Instant::now()),
        events: Arc::clone(&env.bus.events),
        presence: Arc::clone(&env.bus.presence),
        outage: Arc::clone(&env.outage),
        workers: Arc::clone(&services.workers),
        restores: RestoreRequests::new(),
        alerts: Internal::alert_locks(),
        scheme: if api.tls.is_some() { "https" } else { "http" },
        job_timeout: settings.timing.job_timeout(Lane::Interactive),
        clock: Arc::clone(&env.clock),
        entropy: Arc::clone(&env.entropy),
        metrics: Arc::clone(&env.metrics),
    })
}

fn http(
    env: &Environment,
    settings: Settings,
    services: &Services,
    (admission, sockets, soft): (Admission, Arc<SocketLimit>, CancellationToken),
) -> Http {
    let timing = settings.timing;
    let bus = CallbackBus {
        challenges: Arc::clone(&env.bus.challenges),
        limits: Arc::clone(&env.bus.limits),
        sessions: Arc::clone(&env.bus.sessions),
        outage: Arc::clone(&env.outage),
    };
    let callbacks = Callbacks::new(
        bus,
        Arc::clone(&services.workers),
        timing.job_timeout(Lane::Interactive),
        Arc::clone(&env.metrics),
    );
    let webhooks = Webhooks::new(
        Arc::clone(&services.workers),
        timing.job_timeout(Lane::Webhook),
        Arc::clone(&env.metrics),
    );
    Http::new(
        (settings.origins, settings.proxies, admission),
        (availability(Arc::clone(&services.hub), soft.clone()), sockets),
        (callbacks, webhooks, settings.further_routes),
        timing,
        soft,
        Arc::clone(&env.metrics),
    )
}

/// New sockets are accepted while events arrive and the node does not drain.
fn availability(hub: Arc<Hub>, soft: CancellationToken) -> Available {
    Box::new(move || hub.is_live() && !soft.is_cancelled())
}
