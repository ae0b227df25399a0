//! Gateway of a dev cluster: the ports that it has, and the node that runs there, which can be killed and replaced by another.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use futures_util::future::{Either, pending};
use gateway::Gateway;
use lifecycle::Readiness;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::Instrument;

use super::error::DevError;
use super::nodes::Nodes;
use super::port::first_free;
use crate::node::{Handler, HttpListener, ListenerKind, NodeRuntime, StartError};

/// Ports of a gateway, with the routes of the demo on the public one.
pub(super) struct GatewaySlot {
    ports: Ports,
    routes: Router,
    state: State,
}

/// Addresses of a gateway, which stay when it is replaced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    /// Address for clients.
    pub(super) public: SocketAddr,
    /// Address of the health routes and metrics.
    pub(super) health: SocketAddr,
    /// Address of the internal API.
    pub(super) internal: SocketAddr,
}

/// Node on the ports.
enum State {
    Running(Box<RunningGateway>),
    /// The gateway was killed, and another one starts at this time.
    Killed(Instant),
}

struct RunningGateway {
    node: NodeRuntime,
    gateway: gateway::Running,
}

/// Gateway with its listeners, ready to be spawned.
struct BoundGateway {
    node: NodeRuntime,
    gateway: Gateway,
    health: HttpListener,
    internal: HttpListener,
}

impl GatewaySlot {
    /// Starts a gateway on the default ports, or the next free ones.
    ///
    /// # Errors
    /// [`DevError`].
    pub(super) async fn start(nodes: &Nodes, routes: Router, runtime: &NodeRuntime) -> Result<Self, DevError> {
        let health = first_free(HEALTH_PORT, |address| HttpListener::bind(ListenerKind::Health, address)).await;
        let health = health.map_err(StartError::from)?;
        let internal = first_free(INTERNAL_PORT, |address| {
            HttpListener::bind(ListenerKind::Internal, address)
        })
        .await;
        let internal = internal.map_err(StartError::from)?;
        let bind = async |address| build(nodes, routes.clone(), runtime, address).await;
        let (gateway, node) = first_free(GATEWAY_PORT, bind).await?;
        let ports = Ports {
            public: gateway.local_addr(),
            health: health.address(),
            internal: internal.address(),
        };
        let bound = BoundGateway {
            node,
            gateway,
            health,
            internal,
        };
        Ok(Self {
            ports,
            routes,
            state: State::Running(Box::new(bound.spawn())),
        })
    }

    /// Addresses of the gateway.
    pub(super) fn ports(&self) -> Ports {
        self.ports
    }

    /// Reports whether a gateway runs there.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    /// Readiness of the gateway; none while there is none.
    pub(super) fn readiness(&self) -> Option<Readiness> {
        match &self.state {
            State::Running(running) => Some(running.node.readiness.clone()),
            State::Killed(_) => None,
        }
    }

    /// Kills the gateway: connections and listeners are closed at once, and what it has stored in the bus stays. Another one starts after
    /// [`AWAY`].
    pub(super) async fn kill(&mut self) {
        let killed = std::mem::replace(&mut self.state, State::Killed(Instant::now() + AWAY));
        let State::Running(running) = killed else { return };
        let RunningGateway { node, gateway } = *running;
        let span = node.identity.span();
        let listen = self.ports.public;
        span.in_scope(|| tracing::info!(%listen, "gateway killed at the request of the demo"));
        // The connections to Redis first: nothing of what follows reaches the bus.
        node.abort();
        gateway.kill().instrument(span).await;
        node.aborted().await;
    }

    /// Resolves when another gateway is due to start; never while one runs.
    pub(super) fn is_due(&self) -> impl Future<Output = ()> + use<> {
        match self.state {
            State::Running(_) => Either::Left(pending()),
            State::Killed(due) => Either::Right(sleep_until(due)),
        }
    }

    /// Starts a gateway with an id of its own on the same ports, and waits until it is ready. The next attempt is due after a pause, if this
    /// one fails: another process may have the port, or Redis may be away.
    pub(super) async fn restart(&mut self, nodes: &Nodes, runtime: &NodeRuntime) {
        match BoundGateway::bind(nodes, self.routes.clone(), runtime, self.ports).await {
            Ok(bound) => {
                let running = Box::new(bound.spawn());
                // One that is not ready within the time refuses clients until it is.
                drop(timeout(READY_WITHIN, running.node.readiness.ready()).await);
                let (listen, span) = (self.ports.public, running.node.identity.span());
                span.in_scope(|| tracing::info!(%listen, "replacement of the killed gateway started"));
                self.state = State::Running(running);
            }
            Err(error) => {
                tracing::warn!(
                    error = protocol::fault::chain(&error),
                    "gateway restart failed, retrying"
                );
                self.state = State::Killed(Instant::now() + RETRY);
            }
        }
    }

    /// Resolves with the name of an essential task of the gateway when one has ended.
    pub(super) async fn failure(&self) -> &'static str {
        match &self.state {
            State::Running(running) => tokio::select! {
                task = running.gateway.failure() => task,
                task = running.node.failure() => task,
            },
            State::Killed(_) => pending().await,
        }
    }

    /// Drains the gateway, then its listeners and connections.
    pub(super) async fn drain(self, within: Duration) {
        if let State::Running(running) = self.state {
            let span = running.node.identity.span();
            running.gateway.drain(within).instrument(span).await;
            running.node.drain_runtime().await;
        }
    }
}

impl BoundGateway {
    async fn bind(nodes: &Nodes, routes: Router, runtime: &NodeRuntime, ports: Ports) -> Result<Self, DevError> {
        let health = HttpListener::bind(ListenerKind::Health, ports.health).await;
        let internal = HttpListener::bind(ListenerKind::Internal, ports.internal).await;
        let (health, internal) = (health.map_err(StartError::from)?, internal.map_err(StartError::from)?);
        let (gateway, node) = build(nodes, routes, runtime, ports.public).await?;
        Ok(Self {
            node,
            gateway,
            health,
            internal,
        })
    }

    fn spawn(self) -> RunningGateway {
        let Self {
            node,
            gateway,
            health,
            internal,
        } = self;
        node.serve_health(health);
        if let Some(api) = gateway.internal_api() {
            internal.serve(Handler::Internal(api), &node.tasks);
        }
        let gateway = node.identity.span().in_scope(|| gateway.spawn());
        RunningGateway { node, gateway }
    }
}

/// Builds a gateway on this address, on a node of its own.
async fn build(
    nodes: &Nodes,
    routes: Router,
    runtime: &NodeRuntime,
    address: SocketAddr,
) -> Result<(Gateway, NodeRuntime), DevError> {
    // Of each attempt: a taken port leaves parts in the readiness that never become ready.
    let node = runtime.apart("gateway");
    let gateway = nodes.gateway(address, routes, &node);
    match Box::pin(gateway.instrument(node.identity.span())).await {
        Ok(gateway) => Ok((gateway, node)),
        Err(error) => {
            node.abort();
            node.aborted().await;
            Err(error)
        }
    }
}

/// Default ports; the next free one is used instead of a taken one.
const GATEWAY_PORT: u16 = 8443;
const HEALTH_PORT: u16 = 9090;
const INTERNAL_PORT: u16 = 9091;

/// Time between the kill of a gateway and the start of the next one.
pub(super) const AWAY: Duration = Duration::from_secs(5);
/// Pause before a failed start is repeated.
const RETRY: Duration = Duration::from_secs(1);
/// Time to become ready after a start.
const READY_WITHIN: Duration = Duration::from_secs(10);
