//! Composition of a gateway from its settings.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use bus::BusError;
use jwks::JwksError;
use lifecycle::{Clock, Entropy, Readiness};
use opentelemetry::metrics::Meter;
use protocol::cluster::job::Lane;
use rustls::crypto::{CryptoProvider, ring};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::drain::Drain;
use super::services::{Environment, Services};
use super::{Acceptor, Gateway, NodeTasks};
use crate::bus_outage::BusOutage;
use crate::bus_roles::BusRoles;
use crate::connection::{
    Authentication, Bounds, Connections, DrainWindow, HandoverCounts, JoinRate, Joining, LinkSettings, Resumption,
    Serving,
};
use crate::deflate::DeflatePool;
use crate::handshake::token::TokenVerifier;
use crate::http::callback::{CallbackBus, Callbacks};
use crate::http::internal::{self, ApiDrain, Internal};
use crate::http::webhook::Webhooks;
use crate::http::{Available, Http};
use crate::hub::Hub;
use crate::ids;
use crate::listener::admission::Admission;
use crate::listener::certificate::{CertificateError, Reloader};
use crate::listener::tcp::Listener;
use crate::listener::tls::Tls;
use crate::metrics::Metrics;
use crate::settings::Settings;

/// Reason for which a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The port cannot be bound.
    #[error("listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The certificate cannot be loaded.
    #[error("load the certificate")]
    Certificate(#[from] CertificateError),
    /// TLS cannot be configured.
    #[error("set up TLS")]
    Tls(#[source] rustls::Error),
    /// The JWKS client cannot be created.
    #[error(transparent)]
    Jwks(#[from] JwksError),
    /// The bus is unavailable.
    #[error("subscribe on the bus")]
    Bus(#[from] BusError),
}

impl Gateway {
    /// Binds the port, loads the certificate and subscribes on the bus. Spawns nothing.
    ///
    /// # Errors
    /// [`BuildError`] of the first step that fails.
    pub async fn build(
        settings: Settings,
        bus: impl Into<BusRoles>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        meter: &Meter,
    ) -> Result<Self, BuildError> {
        let tasks = NodeTasks::default();
        let env = Environment {
            node: settings.node.clone().unwrap_or_else(|| ids::node(&*entropy)),
            bus: bus.into(),
            outage: Arc::new(BusOutage::new()),
            clock,
            entropy,
            metrics: Arc::new(Metrics::new(meter, &tasks.connections)),
            tasks: tasks.connections.clone(),
        };
        let readiness = Readiness::new();
        let metrics = Arc::clone(&env.metrics);

        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let reloader = Reloader::load(
            settings.tls.clone(),
            Arc::clone(&provider),
            Arc::clone(&env.clock),
            Arc::clone(&metrics),
        )
        .await?;
        let tls = Tls::new(provider, reloader.certificate(), settings.timing.tls).map_err(BuildError::Tls)?;
        let listener = Listener::bind(&settings, Arc::clone(&metrics))
            .map_err(|error| BuildError::Listen(settings.listen, error))?;

        let (tokens, jwks_refresher) = TokenVerifier::new(settings.tokens.clone(), &readiness, &env.entropy, meter)?;
        let (services, inputs) = Services::build(&env, &settings, tokens).await?;
        let soft = tasks.connections.soft();
        let connections = connections(&env, &settings, &services, listener.admission(), &soft);
        let drain = Drain {
            delay: settings.drain_delay,
            window: settings.drain_window,
            api: ApiDrain::default(),
            handover: Arc::clone(&connections.handover),
        };
        let internal = internal_api(&env, &settings, &services, drain.api.clone());
        let certificate_every = settings.timing.certificate;
        let http = Arc::new(http(&env, settings, &services, soft));
        Ok(Self {
            listener,
            acceptor: Acceptor {
                tls,
                http,
                connections,
                metrics,
            },
            services,
            inputs,
            jwks_refresher,
            reloader,
            certificate_every,
            internal,
            listening: readiness.latch("listener"),
            bus_live: readiness.condition("bus"),
            readiness,
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
    }
}

fn internal_api(env: &Environment, settings: &Settings, services: &Services, drain: ApiDrain) -> Option<Router> {
    let token = settings.internal_token.clone()?;
    let internal = Internal {
        token,
        events: Arc::clone(&env.bus.events),
        presence: Arc::clone(&env.bus.presence),
        outage: Arc::clone(&env.outage),
        workers: Arc::clone(&services.workers),
        job_timeout: settings.timing.job_timeout(Lane::Interactive),
        clock: Arc::clone(&env.clock),
        entropy: Arc::clone(&env.entropy),
        metrics: Arc::clone(&env.metrics),
    };
    Some(internal::router(internal, drain))
}

fn http(env: &Environment, settings: Settings, services: &Services, soft: CancellationToken) -> Http {
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
        settings.origins,
        availability(Arc::clone(&services.hub), soft.clone()),
        (callbacks, webhooks),
        timing,
        soft,
        Arc::clone(&env.metrics),
    )
}

/// New sockets are accepted while events arrive and the node does not drain.
fn availability(hub: Arc<Hub>, soft: CancellationToken) -> Available {
    Box::new(move || hub.is_live() && !soft.is_cancelled())
}
