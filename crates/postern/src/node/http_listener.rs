//! HTTP listeners of a node for the cluster's own network: health and metrics, and on a gateway the internal API. Their peers are
//! trusted, but a stalled one must not occupy a connection for ever.

mod address_share;
mod handler;
mod self_wakes;
mod stall_timeout;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use gateway::InternalTls;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use lifecycle::Tasks;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use self::address_share::{AddressPermit, AddressShares};
pub(crate) use self::handler::Handler;
use self::self_wakes::SelfWakes;
use self::stall_timeout::StallTimeout;

/// Purpose of an HTTP listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListenerKind {
    /// Health routes and metrics, of both nodes.
    Health,
    /// Internal API of a gateway.
    Internal,
}

impl ListenerKind {
    /// Variable with the listen address.
    fn variable(self) -> &'static str {
        match self {
            Self::Health => "POSTERN_HEALTH_LISTEN",
            Self::Internal => "POSTERN_INTERNAL_LISTEN",
        }
    }

    /// Name of the task that accepts.
    fn task(self) -> &'static str {
        match self {
            Self::Health => "health listener",
            Self::Internal => "internal listener",
        }
    }

    /// Name of the tasks of connections.
    fn connection_task(self) -> &'static str {
        match self {
            Self::Health => "health connection",
            Self::Internal => "internal connection",
        }
    }
}

/// Failure to bind an HTTP listener.
#[derive(Debug, thiserror::Error)]
#[error("listen on {address} ({variable})")]
pub struct ListenError {
    variable: &'static str,
    address: SocketAddr,
    source: io::Error,
}

/// Bound HTTP listener.
pub(crate) struct HttpListener {
    kind: ListenerKind,
    listener: TcpListener,
    address: SocketAddr,
}

impl HttpListener {
    /// Binds the listener.
    ///
    /// # Errors
    /// [`ListenError`].
    pub(crate) async fn bind(kind: ListenerKind, address: SocketAddr) -> Result<Self, ListenError> {
        let failed = |source| ListenError {
            variable: kind.variable(),
            address,
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            kind,
            listener,
            address,
        })
    }

    /// Bound address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections until the tasks are drained, over TLS if the handler has it.
    pub(crate) fn serve(self, handler: Handler, tasks: &Tasks) {
        let connections = tasks.clone();
        let handler = Arc::new(handler);
        tasks.essential(self.kind.task(), async move {
            let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
            let shares = AddressShares::default();
            while let Some((tcp, peer, permits)) = self.next((&permits, &shares), &connections).await {
                let served = Connection {
                    handler: Arc::clone(&handler),
                    peer,
                    tasks: connections.clone(),
                    permits,
                };
                connections.each(self.kind.connection_task(), served.serve(tcp, handler.tls()));
            }
        });
    }

    /// Accepts the next connection once a permit is free; none when the node drains. Those of an address above its share are closed.
    async fn next(
        &self,
        (permits, shares): (&Arc<Semaphore>, &AddressShares),
        tasks: &Tasks,
    ) -> Option<(TcpStream, SocketAddr, ConnectionPermits)> {
        let next = async {
            let permit = Arc::clone(permits).acquire_owned().await.ok()?;
            loop {
                match self.listener.accept().await {
                    Ok((tcp, peer)) => {
                        if let Some(of_address) = shares.take(peer.ip(), MAX_PER_ADDRESS) {
                            return Some((tcp, peer, (permit, of_address)));
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, listener = self.kind.task(), "tcp accept failed, retrying");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        tokio::select! {
            biased;
            () = tasks.soft().cancelled_owned() => None,
            next = next => next,
        }
    }
}

/// Permits of a connection: among all, and in the share of its address.
type ConnectionPermits = (OwnedSemaphorePermit, AddressPermit);

/// Accepted connection.
struct Connection {
    handler: Arc<Handler>,
    peer: SocketAddr,
    tasks: Tasks,
    permits: ConnectionPermits,
}

impl Connection {
    /// Performs the TLS handshake, if TLS is given, and serves the requests.
    async fn serve(self, tcp: TcpStream, tls: Option<InternalTls>) {
        let stream = StallTimeout::new(tcp, STALL_TIMEOUT);
        let Some(tls) = tls else {
            return self.serve_requests(stream).await;
        };
        let accepted = tokio::select! {
            biased;
            accepted = Box::pin(tls.accept(stream, self.peer)) => accepted,
            () = self.tasks.soft().cancelled_owned() => return,
        };
        // The error has been logged.
        if let Ok(stream) = accepted {
            self.serve_requests(stream).await;
        }
    }

    /// Serves the requests. On a drain the connection ends after the current one.
    async fn serve_requests(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let Self {
            handler,
            peer,
            tasks,
            permits: _permits,
        } = self;
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(STALL_TIMEOUT)
            .max_header_size(MAX_HEAD);
        let service = service_fn(move |request| {
            let handler = Arc::clone(&handler);
            // Not boxed: hyper has a place for it, and an allocation of some KiB costs more than its copy.
            async move { handler.respond(peer, request).await }
        });
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let self_wakes = SelfWakes::new();
        let ended = tokio::select! {
            // First, so that a request that has been received is answered.
            biased;
            ended = poll_fn(|cx| self_wakes.poll(connection.as_mut(), cx)) => ended,
            () = tasks.soft().cancelled_owned() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "HTTP connection failed");
        }
    }
}

/// Bound of the connections, enough for the application's servers and metric scrapers. Further ones wait.
const MAX_CONNECTIONS: usize = 1024;
/// Bound of the connections of one address: three quarters, so that one server, or a proxy in front of several, does not shut out the others.
const MAX_PER_ADDRESS: usize = MAX_CONNECTIONS / 4 * 3;
/// Timeout for the head of a request, and for a peer that sends or reads nothing: longer than any response takes.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum size of a request head, in bytes.
const MAX_HEAD: usize = 32 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
