//! Address of the client of a connection, as the trusted proxies in front of the gateway name it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use tracing::Span;
use tracing::field::display;

use crate::settings::{Proxies, ProxyProtocol};

/// Client of a connection. Where a proxy names none, it is the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    address: IpAddr,
    /// Port, where it is known.
    port: Option<u16>,
    /// True where the address is a trusted proxy's.
    is_proxy: bool,
    /// True where `X-Forwarded-For` may name another address.
    is_forwarding: bool,
}

impl Client {
    /// Client whose connection began without a PROXY header. With the PROXY protocol on, a trusted proxy that sends none passes TLS
    /// through, and the headers of its requests are the client's own.
    pub(crate) fn of_peer(peer: SocketAddr, proxies: &Proxies) -> Self {
        let is_forwarding = proxies.protocol() == ProxyProtocol::Off;
        Self::new(peer, is_forwarding, proxies)
    }

    /// Client that the PROXY header of a trusted proxy names.
    pub(super) fn named(source: SocketAddr, proxies: &Proxies) -> Self {
        Self::new(source, true, proxies)
    }

    /// Trusted proxy whose PROXY header names no client.
    pub(super) fn unnamed(peer: SocketAddr, proxies: &Proxies) -> Self {
        Self::new(peer, false, proxies)
    }

    fn new(address: SocketAddr, is_forwarding: bool, proxies: &Proxies) -> Self {
        let ip = address.ip().to_canonical();
        let is_proxy = proxies.trusts(ip);
        Self {
            address: ip,
            port: Some(address.port()),
            is_proxy,
            is_forwarding: is_forwarding && is_proxy,
        }
    }

    /// Client of a request that a trusted proxy has forwarded from this address.
    pub(crate) fn forwarded_from(address: IpAddr, proxies: &Proxies) -> Self {
        Self {
            address: address.to_canonical(),
            port: None,
            is_proxy: proxies.trusts(address),
            is_forwarding: false,
        }
    }

    /// Address of the client.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// Reports whether the `X-Forwarded-For` of its requests is believed.
    pub(crate) fn is_forwarding(&self) -> bool {
        self.is_forwarding
    }

    /// Address that the limits per address count. `None` for a trusted proxy, whose one address is many clients.
    pub(crate) fn limited_address(&self) -> Option<IpAddr> {
        (!self.is_proxy).then(|| rate_limit_address(self.address))
    }

    /// Records the address in the span of the connection.
    pub(crate) fn record(&self) {
        let span = Span::current();
        match self.port {
            Some(port) => span.record("peer", display(SocketAddr::new(self.address, port))),
            None => span.record("peer", display(self.address)),
        };
    }
}

/// Returns the address that rate limits count: an IPv4 address, or the /64 of an IPv6 address, which one client usually owns.
pub(crate) fn rate_limit_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_limit_address_is_the_ipv6_network_or_the_ipv4_address() {
        let same = |one: &str, other: &str| {
            rate_limit_address(one.parse().unwrap()) == rate_limit_address(other.parse().unwrap())
        };
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("::ffff:192.0.2.7", "192.0.2.7"));
        assert!(!same("192.0.2.7", "192.0.2.8"));
    }
}
