//! A gateway as a node: settings, build, spawn, drain.

mod build;
mod build_error;
mod drain;
mod prepare;
mod services;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jwks::JwksRefresher;
use lifecycle::{Condition, Readiness, Tasks};
use protocol::fault::chain;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::Instrument;

pub use self::build_error::BuildError;
pub use self::drain::GatewayDrainReport;
pub use self::prepare::{PreparedGateway, Runtime};
pub use self::services::Subscriptions;

use self::drain::Drain;
use self::services::{Inputs, Services};
use crate::connection::Connections;
use crate::http::internal::InternalApi;
use crate::http::{Http, UpgradedStream};
use crate::listener::Stream;
use crate::listener::certificate::Reloader;
use crate::listener::client::Client;
use crate::listener::internal_tls::InternalTlsReloader;
use crate::listener::pending::PendingPermit;
use crate::listener::proxy::ProxyHeaders;
use crate::listener::tcp::{IncomingConnection, Listener};
use crate::listener::tls::Tls;
use crate::metrics::{HandshakeOutcome, Metrics, RefusalReason};

/// Gateway that is ready to be spawned: its port is bound, its certificate loaded, its subscriptions on the bus are open.
pub struct Gateway {
    listener: Listener,
    acceptor: Acceptor,
    services: Services,
    inputs: Inputs,
    jwks_refresher: Option<JwksRefresher>,
    reloader: Reloader,
    certificate_every: Duration,
    internal_api: Option<InternalApi>,
    internal_tls: Option<InternalTlsReloader>,
    readiness: Readiness,
    listening: Condition,
    tasks: NodeTasks,
    drain: Drain,
}

/// Tasks of a node in two groups: connections end first, and need the core until then.
#[derive(Debug, Clone, Default)]
struct NodeTasks {
    connections: Tasks,
    core: Tasks,
}

/// Path of a client from TCP to its socket.
struct Acceptor {
    proxies: Arc<ProxyHeaders>,
    tls: Tls,
    /// Time for the PROXY header and the TLS handshake.
    tls_within: Duration,
    http: Arc<Http>,
    connections: Connections,
    metrics: Arc<Metrics>,
}

/// WebSocket before its first frame, the permit and time of its accept, and the permit of an open connection.
type UpgradedConnection = (Box<UpgradedStream>, (PendingPermit, Instant), OwnedSemaphorePermit);

impl Gateway {
    /// Address on which clients connect.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Readiness of the gateway for clients.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Internal API, for the internal listener; none if the settings have none.
    #[must_use]
    pub fn internal_api(&self) -> Option<InternalApi> {
        self.internal_api.clone()
    }

    /// Starts to serve. From here the return value owns every task.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use = "a gateway that is dropped without a drain is cut"]
    pub fn spawn(self) -> Running {
        let NodeTasks { connections, core } = &self.tasks;
        self.services.spawn(self.inputs, &self.tasks);
        let reloads = self.reloader.run(self.certificate_every, core.soft());
        core.essential("certificate", reloads);
        if let Some(internal_tls) = self.internal_tls {
            internal_tls.spawn(self.certificate_every, core);
        }
        if let Some(jwks_refresher) = self.jwks_refresher {
            core.essential("jwks", jwks_refresher.run(core.soft()));
        }

        let acceptor = Arc::new(self.acceptor);
        let tasks = connections.clone();
        let accepts = self.listener.run(connections.soft(), move |incoming| {
            let span = tracing::info_span!(
                "connection",
                peer = tracing::field::Empty,
                conn = tracing::field::Empty,
                user = tracing::field::Empty
            );
            tasks.each("connection", Arc::clone(&acceptor).serve(incoming).instrument(span));
        });
        let listening = self.listening;
        listening.set(true);
        connections.essential("listener", async move {
            accepts.await;
            drop(listening);
        });
        Running {
            readiness: self.readiness,
            tasks: self.tasks,
            drain: self.drain,
        }
    }
}

impl Acceptor {
    /// Serves a client from TCP to the end of its socket or of its HTTP requests. Each step is boxed, and made before the first poll: inline
    /// or as an argument, the task of a socket would hold the memory of the largest step for as long as the socket is open.
    fn serve(self: Arc<Self>, incoming: IncomingConnection) -> impl Future<Output = ()> {
        let upgrading = Box::pin(Arc::clone(&self).upgraded(incoming));
        async move {
            if let Some((upgraded, permit, _open)) = upgrading.await {
                let UpgradedStream {
                    stream,
                    upgrade,
                    client,
                    socket: _socket,
                } = *upgraded;
                Box::pin(self.connections.serve(stream, upgrade, client, permit)).await;
            }
        }
    }

    /// Serves a connection until it becomes a WebSocket, returned with its permits. `None` for one that has ended before.
    async fn upgraded(self: Arc<Self>, incoming: IncomingConnection) -> Option<UpgradedConnection> {
        let IncomingConnection {
            mut tcp,
            peer,
            accepted,
            open,
            pending,
        } = incoming;
        let tls_by = accepted + self.tls_within;
        let client = Box::pin(self.client(&mut tcp, (peer, &pending), tls_by)).await?;
        let stream = Box::pin(self.encrypt(tcp, &pending, tls_by)).await?;
        let served = Box::pin(Arc::clone(&self.http).serve(stream, (client, &pending), accepted)).await;
        match served {
            Ok(upgraded) => Some((Box::new(upgraded?), (pending, accepted), open)),
            Err(error) => {
                self.metrics.refused(error.reason());
                tracing::debug!(error = chain(&error), "HTTP request failed");
                None
            }
        }
    }

    /// Performs the TLS handshake of a connection. `None` for a failed one.
    async fn encrypt(&self, tcp: TcpStream, pending: &PendingPermit, deadline: Instant) -> Option<Stream> {
        let started = Instant::now();
        let encrypted = self.tls.handshake(tcp, pending, deadline).await;
        let outcome = match &encrypted {
            Ok(_) => HandshakeOutcome::Ok,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => HandshakeOutcome::Timeout,
            Err(_) => HandshakeOutcome::Failed,
        };
        self.metrics.tls_handshake(outcome, started.elapsed());
        if let Err(error) = &encrypted {
            self.metrics.refused(RefusalReason::Tls);
            tracing::debug!(%error, "TLS handshake failed");
        }
        encrypted.ok()
    }

    /// Reads the PROXY header of a connection and applies the limits of the address in it. `None` for a refused connection.
    async fn client(
        &self,
        tcp: &mut TcpStream,
        (peer, pending): (SocketAddr, &PendingPermit),
        deadline: Instant,
    ) -> Option<Client> {
        let client = match self.proxies.client(tcp, peer, deadline).await {
            Ok(client) => client?,
            Err(refusal) => {
                self.metrics.refused(refusal.reason());
                self.proxies.log(&refusal, peer);
                return None;
            }
        };
        // A proxy that forwards requests names the client in each of them.
        if !client.is_forwarding() {
            client.record();
        }
        if let Err(reason) = self.connections.admission.identify(pending, &client, Instant::now()) {
            self.metrics.refused(reason);
            return None;
        }
        Some(client)
    }
}

/// Gateway whose tasks run.
#[derive(Debug)]
pub struct Running {
    readiness: Readiness,
    tasks: NodeTasks,
    drain: Drain,
}

impl Running {
    /// Resolves with the name of an essential task when one has ended.
    pub async fn failure(&self) -> &'static str {
        tokio::select! {
            name = self.tasks.connections.failure() => name,
            name = self.tasks.core.failure() => name,
        }
    }

    /// Ends the gateway as the kill of its process would: without a drain, a close frame or a change of the cluster's state. Its port is
    /// free, and its connections are closed, when this returns. For `postern dev`, which has several gateways in one process.
    pub async fn kill(self) {
        let NodeTasks { connections, core } = &self.tasks;
        // The core first: no presence entry is removed for a connection that is dropped.
        core.abort();
        connections.abort();
        core.aborted().await;
        connections.aborted().await;
    }
}
