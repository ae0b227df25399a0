//! Preparation of a gateway: the steps of its start that need no other server.

use std::sync::Arc;

use bus::BusError;
use jwks::JwksRefresher;
use lifecycle::{Clock, Condition, Dependencies, Entropy, Readiness};
use opentelemetry::metrics::Meter;
use protocol::id::NodeId;
use rustls::crypto::CryptoProvider;
use tokio::net::TcpSocket;

use super::build_error::BuildError;
use super::services::Subscriptions;
use super::{Gateway, NodeTasks};
use crate::bus_roles::BusRoles;
use crate::handshake::token::TokenVerifier;
use crate::ids;
use crate::listener::certificate::{CertificateUse, Reloader};
use crate::listener::internal_tls::{InternalTls, InternalTlsError, InternalTlsReloader};
use crate::listener::tcp;
use crate::listener::tls::Tls;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::socket_limit::SocketLimit;

/// Runtime of the node that a gateway runs on.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// Time of day.
    pub clock: Arc<dyn Clock>,
    /// Randomness of ids, delays and jitter.
    pub entropy: Arc<dyn Entropy>,
    /// Meter of the node's metrics.
    pub meter: Meter,
    /// Readiness of the node, in which the gateway has its parts.
    pub readiness: Readiness,
    /// Dependencies of the node.
    pub dependencies: Dependencies,
}

/// Gateway whose certificate is loaded and whose port is bound, but does not listen: it waits for the bus.
pub struct PreparedGateway {
    pub(super) node: NodeId,
    pub(super) settings: Settings,
    pub(super) runtime: Runtime,
    pub(super) tasks: NodeTasks,
    pub(super) metrics: Arc<Metrics>,
    pub(super) reloader: Reloader,
    pub(super) tls: Tls,
    pub(super) internal_tls: Option<(InternalTlsReloader, InternalTls)>,
    pub(super) socket: TcpSocket,
    pub(super) tokens: TokenVerifier,
    pub(super) jwks_refresher: Option<JwksRefresher>,
    pub(super) listening: Condition,
    pub(super) sockets: Arc<SocketLimit>,
}

impl Gateway {
    /// Loads the certificate and binds the port: faults that waiting cannot mend are found here. Creates the parts of readiness
    /// `listener`, `certificate`, `keys` and `sockets`. Spawns nothing.
    ///
    /// # Errors
    /// [`BuildError`] of the first step that fails.
    pub async fn prepare(settings: Settings, runtime: Runtime) -> Result<PreparedGateway, BuildError> {
        let readiness = &runtime.readiness;
        let listening = readiness.condition("listener");
        let certified = readiness.latch("certificate");
        let keys = readiness.latch("keys");
        let below = readiness.condition("sockets");
        let sockets = SocketLimit::new(settings.max_sockets, settings.max_connections, below);
        let saturation = Arc::clone(&sockets);
        Metrics::observe_saturation(&runtime.meter, move || saturation.saturation());
        let tasks = NodeTasks::default();
        let metrics = Arc::new(Metrics::new(&runtime.meter, &tasks.connections));

        let provider = settings.tls_groups.provider();
        let reloader = Reloader::load(
            CertificateUse::Public,
            settings.tls.clone(),
            Arc::clone(&provider),
            Arc::clone(&runtime.clock),
            Arc::clone(&metrics),
        )
        .await?;
        let tls = Tls::new(&provider, reloader.certificate());
        let tls = tls.map_err(BuildError::Tls)?;
        let internal_tls = internal_tls(&settings, &runtime, provider, &metrics).await?;
        certified.release();
        let socket = tcp::bind(settings.listen).map_err(|error| BuildError::Listen(settings.listen, error))?;
        let keys = (keys, &runtime.dependencies);
        let (tokens, jwks_refresher) =
            TokenVerifier::new(settings.tokens.clone(), keys, &runtime.entropy, &runtime.meter)?;
        Ok(PreparedGateway {
            node: settings.node.clone().unwrap_or_else(|| ids::node(&*runtime.entropy)),
            settings,
            runtime,
            tasks,
            metrics,
            reloader,
            tls,
            internal_tls,
            socket,
            sockets,
            tokens,
            jwks_refresher,
            listening,
        })
    }
}

/// Loads TLS of the internal API, if the settings have it.
async fn internal_tls(
    settings: &Settings,
    runtime: &Runtime,
    provider: Arc<CryptoProvider>,
    metrics: &Arc<Metrics>,
) -> Result<Option<(InternalTlsReloader, InternalTls)>, InternalTlsError> {
    let Some(files) = settings.internal_api.as_ref().and_then(|api| api.tls.as_ref()) else {
        return Ok(None);
    };
    let (clock, metrics) = (Arc::clone(&runtime.clock), Arc::clone(metrics));
    let loaded = InternalTlsReloader::load(files, settings.timing.tls, provider, clock, metrics).await?;
    Ok(Some(loaded))
}

impl PreparedGateway {
    /// Opens the gateway's subscriptions. May be repeated after an error.
    ///
    /// # Errors
    /// [`BusError`].
    pub async fn subscribe(&self, bus: &BusRoles) -> Result<Subscriptions, BusError> {
        Subscriptions::open(bus, &self.node).await
    }
}
