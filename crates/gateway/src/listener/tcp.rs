//! TCP listener with admission control.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admission::Admission;
use super::client::Client;
use super::pending::PendingPermit;
use super::proxy::ProxyHeaders;
use crate::metrics::{Metrics, RefusalReason};
use crate::settings::Settings;

/// Bound TCP listener.
pub(crate) struct Listener {
    tcp: TcpListener,
    local: SocketAddr,
    /// Permits of open connections.
    open: Arc<Semaphore>,
    admission: Admission,
    proxies: Arc<ProxyHeaders>,
    metrics: Arc<Metrics>,
}

/// Accepted TCP connection before the TLS handshake.
pub(crate) struct IncomingConnection {
    /// TCP stream.
    pub(crate) tcp: TcpStream,
    /// Peer address.
    pub(crate) peer: SocketAddr,
    /// Time of accept.
    pub(crate) accepted: Instant,
    /// Permit of an open connection, released at its end.
    pub(crate) open: OwnedSemaphorePermit,
    /// Permit of a pending connection, released when the token is verified or the connection ends.
    pub(crate) pending: PendingPermit,
}

impl Listener {
    /// Listens on a bound socket.
    pub(crate) fn listen(socket: TcpSocket, settings: &Settings, metrics: Arc<Metrics>) -> io::Result<Self> {
        let tcp = listen(socket)?;
        Ok(Self {
            local: tcp.local_addr()?,
            tcp,
            open: Arc::new(Semaphore::new(settings.max_connections.min(Semaphore::MAX_PERMITS))),
            admission: Admission::new(
                settings.connect_rate,
                settings.pending_connections,
                Arc::clone(&metrics),
            ),
            proxies: Arc::new(ProxyHeaders::new(settings.proxies.clone(), Instant::now())),
            metrics,
        })
    }

    /// Returns the admission control of this listener.
    pub(crate) fn admission(&self) -> Admission {
        self.admission.clone()
    }

    /// Returns the reader of PROXY headers.
    pub(crate) fn proxies(&self) -> Arc<ProxyHeaders> {
        Arc::clone(&self.proxies)
    }

    /// Returns the bound address.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Accepts connections and passes the admitted ones to `on_accept` until the node drains, then closes the port.
    pub(crate) async fn run(self, soft: CancellationToken, on_accept: impl Fn(IncomingConnection)) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = soft.cancelled() => return,
                accepted = self.tcp.accept() => accepted,
            };
            match accepted {
                Ok((tcp, peer)) => match self.admit(tcp, canonical(peer)) {
                    Ok(incoming) => on_accept(incoming),
                    // Dropped without a response: a response would need a TLS handshake, the cost of which is limited here.
                    Err(reason) => self.metrics.refused(reason),
                },
                Err(error) => {
                    self.metrics.refused(RefusalReason::Accept);
                    tracing::warn!(%error, "tcp accept failed, retrying");
                    // Usually out of file descriptors. Without a pause the loop would spin until some are closed.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Acquires the permits of a connection.
    ///
    /// # Errors
    /// Limit that was reached.
    fn admit(&self, tcp: TcpStream, peer: SocketAddr) -> Result<IncomingConnection, RefusalReason> {
        let accepted = Instant::now();
        self.proxies.admit(peer).map_err(|refusal| {
            self.proxies.log(&refusal, peer);
            refusal.reason()
        })?;
        let open = Arc::clone(&self.open).try_acquire_owned();
        let open = open.map_err(|_none_left| RefusalReason::OpenConnections)?;
        let client = Client::of_peer(peer, self.proxies.proxies());
        let pending = self.admission.admit(client.limited_address(), accepted)?;
        Ok(IncomingConnection {
            tcp,
            peer,
            accepted,
            open,
            pending,
        })
    }
}

/// Converts an IPv4-mapped address (RFC 4291, section 2.5.5.2), which an IPv6 listener reports for IPv4 peers, to IPv4.
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// Binds a socket that does not listen yet: until the node can serve, clients are refused, and do not wait for an accept. Connections
/// inherit its send buffer size: with the default, the kernel would queue megabytes for a slow peer, beyond the bounded queue.
///
/// The address is held exclusively from here on. Under `SO_REUSEADDR`, Linux binds an address to several sockets as long as none of
/// them listens, and the fault would only show when the second one does; so it is set only where connections of an earlier process
/// in `TIME_WAIT` hold the address.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_send_buffer_size(SEND_BUFFER)?;
    if let Err(error) = socket.bind(address) {
        if error.kind() != io::ErrorKind::AddrInUse {
            return Err(error);
        }
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
    }
    Ok(socket)
}

/// Listens at a bound address. Connections inherit `SO_REUSEADDR`, so that a restarted gateway need not wait until their `TIME_WAIT`
/// is over.
fn listen(socket: TcpSocket) -> io::Result<TcpListener> {
    socket.set_reuseaddr(true)?;
    socket.listen(BACKLOG)
}

/// Send buffer in bytes. The kernel doubles it for bookkeeping.
const SEND_BUFFER: u32 = 128 * 1024;
/// Maximum number of established connections that wait for accept.
const BACKLOG: u32 = 1024;
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn bound_address_is_taken_before_it_listens() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        assert_eq!(bind(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        listen(first).unwrap();
    }

    #[tokio::test]
    async fn address_with_connections_in_time_wait_is_free() {
        let listener = listen(bind("127.0.0.1:0".parse().unwrap()).unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        // Who closes first, here the gateway, keeps the connection in TIME_WAIT.
        drop(listener.accept().await.unwrap());
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        drop((client, listener));
        listen(bind(address).unwrap()).unwrap();
    }

    #[test]
    fn ipv4_mapped_peer_is_shown_as_ipv4() {
        let shown = |peer: &str| canonical(peer.parse().unwrap()).to_string();
        assert_eq!(shown("[::ffff:192.0.2.7]:4711"), "192.0.2.7:4711");
        assert_eq!(shown("[2001:db8::1]:4711"), "[2001:db8::1]:4711");
    }
}
