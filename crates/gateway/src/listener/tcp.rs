//! TCP: the port, how many may be on their way in, and how often an address may come.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admission::Admission;
use super::pending::PendingPermit;
use crate::metrics::Metrics;
use crate::settings::Settings;

/// The bound port.
pub(crate) struct Listener {
    tcp: TcpListener,
    local: SocketAddr,
    /// One permit for each connection that may be open.
    open: Arc<Semaphore>,
    admission: Admission,
    metrics: Arc<Metrics>,
}

/// A client that has connected and has said nothing yet.
pub(crate) struct IncomingConnection {
    /// The connection.
    pub(crate) tcp: TcpStream,
    /// Where it comes from.
    pub(crate) peer: SocketAddr,
    /// When it was accepted.
    pub(crate) accepted: Instant,
    /// Permit to be open, held until the end.
    pub(crate) open: OwnedSemaphorePermit,
    /// Permit to be on its way in, given back with the token or the end.
    pub(crate) pending: PendingPermit,
}

impl Listener {
    /// Takes the port.
    pub(crate) fn bind(settings: &Settings, metrics: Arc<Metrics>) -> io::Result<Self> {
        let tcp = listen(settings.listen)?;
        Ok(Self {
            local: tcp.local_addr()?,
            tcp,
            open: Arc::new(Semaphore::new(settings.max_connections.min(Semaphore::MAX_PERMITS))),
            admission: Admission::new(settings, Arc::clone(&metrics)),
            metrics,
        })
    }

    /// What clients of this port must pass.
    pub(crate) fn admission(&self) -> Admission {
        self.admission.clone()
    }

    /// The port that was taken.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Hands every client that is let in to `welcome`, until the node drains. Then the port is free again.
    pub(crate) async fn run(self, soft: CancellationToken, welcome: impl Fn(IncomingConnection)) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = soft.cancelled() => return,
                accepted = self.tcp.accept() => accepted,
            };
            match accepted {
                Ok((tcp, peer)) => match self.admit(tcp, canonical(peer)) {
                    Ok(incoming) => welcome(incoming),
                    // Dropped without a word: an answer would cost a TLS handshake, which is what is rationed.
                    Err(reason) => self.metrics.refused(reason),
                },
                Err(error) => {
                    self.metrics.refused("accept");
                    tracing::warn!(%error, "a connection could not be accepted");
                    // Out of file descriptors, mostly: without a pause this loop would spin until some are closed.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// # Errors
    /// Metric label of the bound that is reached.
    fn admit(&self, tcp: TcpStream, peer: SocketAddr) -> Result<IncomingConnection, &'static str> {
        let accepted = Instant::now();
        let open = Arc::clone(&self.open).try_acquire_owned();
        let open = open.map_err(|_none_left| "open_connections")?;
        let pending = self.admission.admit(rate_limit_address(peer.ip()), accepted)?;
        Ok(IncomingConnection {
            tcp,
            peer,
            accepted,
            open,
            pending,
        })
    }
}

/// An IPv4 peer as such, also where a listener on IPv6 gets it under a mapped address (RFC 4291, section 2.5.5.2).
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// Binds the port. Connections get the listener's buffers: the kernel would let what waits for a slow peer grow to megabytes, where
/// no bound of ours sees it.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A gateway that starts again must not wait until the connections of the last one are forgotten.
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The address an address is counted as. Who has one IPv6 address has its whole /64.
pub(crate) fn rate_limit_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// In bytes, of which the kernel makes twice as many for its own account.
const SEND_BUFFER: u32 = 128 * 1024;
/// Connections that the kernel has made and nobody has accepted yet.
const BACKLOG: u32 = 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_shown_as_ipv4_and_a_real_one_as_it_is() {
        let shown = |peer: &str| canonical(peer.parse().unwrap()).to_string();
        assert_eq!(shown("[::ffff:192.0.2.7]:4711"), "192.0.2.7:4711");
        assert_eq!(shown("[2001:db8::1]:4711"), "[2001:db8::1]:4711");
    }

    #[test]
    fn an_ipv6_address_is_counted_by_its_network_and_a_mapped_one_as_ipv4() {
        let same = |one: &str, other: &str| {
            rate_limit_address(one.parse().unwrap()) == rate_limit_address(other.parse().unwrap())
        };
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("::ffff:192.0.2.7", "192.0.2.7"));
        assert!(!same("192.0.2.7", "192.0.2.8"));
    }
}
