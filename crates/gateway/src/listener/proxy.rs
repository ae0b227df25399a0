//! Client of a connection: its peer, or the address in the PROXY header of a trusted proxy.

mod header;

use std::net::SocketAddr;
use std::num::NonZeroU32;

use protocol::fault::chain;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use self::header::{Beginning, HeaderError};
use super::client::Client;
use crate::metrics::RefusalReason;
use crate::rate::LogLimit;
use crate::settings::{Proxies, ProxyProtocol, Rate};

/// Reader of PROXY headers.
pub(crate) struct ProxyHeaders {
    proxies: Proxies,
    log: LogLimit,
}

/// Reason for closing a connection before TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyRefusal {
    /// Header while the protocol is off.
    #[error("PROXY header, and POSTERN_PROXY_PROTOCOL is off")]
    Off,
    /// Header of a peer that is not trusted.
    #[error("PROXY header of a peer that is not in POSTERN_TRUSTED_PROXIES")]
    UntrustedHeader,
    /// Peer that is not trusted, where every connection comes from a proxy.
    #[error("peer is not in POSTERN_TRUSTED_PROXIES, and POSTERN_PROXY_PROTOCOL is required")]
    UntrustedPeer,
    /// No header from a trusted proxy, where it is required.
    #[error("no PROXY header of a trusted proxy, and POSTERN_PROXY_PROTOCOL is required")]
    Missing,
    /// Header that cannot be read.
    #[error("PROXY header of a trusted proxy is malformed")]
    Malformed(#[source] HeaderError),
    /// Incomplete header at the deadline of the TLS handshake.
    #[error("PROXY header of a trusted proxy timed out")]
    TimedOut,
    /// Neither a header nor TLS.
    #[error("neither TLS nor a PROXY header")]
    NoTls,
}

impl ProxyRefusal {
    /// Returns the reason in the metric of refused connections.
    pub(crate) fn reason(&self) -> RefusalReason {
        match self {
            Self::Off => RefusalReason::ProxyOff,
            Self::UntrustedHeader => RefusalReason::ProxyUntrustedHeader,
            Self::UntrustedPeer => RefusalReason::ProxyUntrustedPeer,
            Self::Missing => RefusalReason::ProxyMissing,
            Self::Malformed(_) => RefusalReason::ProxyMalformed,
            Self::TimedOut => RefusalReason::ProxyTimeout,
            Self::NoTls => RefusalReason::Tls,
        }
    }
}

impl ProxyHeaders {
    /// Creates a reader.
    pub(crate) fn new(proxies: Proxies, now: Instant) -> Self {
        Self {
            proxies,
            log: LogLimit::new(LOG_RATE, now),
        }
    }

    /// Proxies in front of the gateway.
    pub(crate) fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// Reports whether the peer of a connection may be served, by its address alone.
    ///
    /// # Errors
    /// [`ProxyRefusal::UntrustedPeer`].
    pub(crate) fn admit(&self, peer: SocketAddr) -> Result<(), ProxyRefusal> {
        let is_required = self.proxies.protocol() == ProxyProtocol::Required;
        match is_required && !self.proxies.trusts(peer.ip()) {
            true => Err(ProxyRefusal::UntrustedPeer),
            false => Ok(()),
        }
    }

    /// Reads the header of a connection, if it begins with one, and returns its client. `None` for the health check of a balancer: a
    /// connection of a trusted proxy without a client, which is closed before it sends a byte of TLS. Bytes of TLS are not consumed.
    ///
    /// # Errors
    /// [`ProxyRefusal`].
    pub(crate) async fn client(
        &self,
        tcp: &mut TcpStream,
        peer: SocketAddr,
        deadline: Instant,
    ) -> Result<Option<Client>, ProxyRefusal> {
        let protocol = self.proxies.protocol();
        let is_trusted = self.proxies.trusts(peer.ip());
        let beginning = timeout_at(deadline, header::begin(tcp)).await;
        let version = match beginning {
            Ok(Ok(Beginning::Signature(version))) => version,
            Ok(Ok(Beginning::Closed)) if is_trusted => return Ok(None),
            Ok(Ok(Beginning::NoHeader)) if protocol != ProxyProtocol::Required => {
                return Ok(Some(Client::of_peer(peer, &self.proxies)));
            }
            _ if is_trusted && protocol == ProxyProtocol::Required => return Err(ProxyRefusal::Missing),
            _ => return Err(ProxyRefusal::NoTls),
        };
        match (protocol, is_trusted) {
            (ProxyProtocol::Off, _) => return Err(ProxyRefusal::Off),
            (_, false) => return Err(ProxyRefusal::UntrustedHeader),
            (_, true) => {}
        }
        let source = timeout_at(deadline, header::read(version, tcp)).await;
        let source = source.map_err(|_elapsed| ProxyRefusal::TimedOut)?;
        match source.map_err(ProxyRefusal::Malformed)? {
            Some(source) => Ok(Some(Client::named(source, &self.proxies))),
            None if is_closed(tcp, deadline).await => Ok(None),
            None => Ok(Some(Client::unnamed(peer, &self.proxies))),
        }
    }

    /// Logs a refusal, unless too many were logged recently.
    pub(crate) fn log(&self, refusal: &ProxyRefusal, peer: SocketAddr) {
        if matches!(refusal, ProxyRefusal::NoTls) {
            tracing::debug!(%peer, reason = chain(refusal), "connection refused");
        } else if let Some(suppressed) = self.log.admit(Instant::now()) {
            tracing::warn!(%peer, suppressed, reason = chain(refusal), "connection refused");
        }
    }
}

/// Waits for the next byte, and reports whether the peer has closed the connection instead.
async fn is_closed(tcp: &TcpStream, deadline: Instant) -> bool {
    matches!(timeout_at(deadline, tcp.peek(&mut [0])).await, Ok(Ok(0)))
}

/// Rate limit of log lines for refused connections.
const LOG_RATE: Rate = Rate {
    per_second: NonZeroU32::MIN,
    burst: NonZeroU32::MIN.saturating_add(9),
};
