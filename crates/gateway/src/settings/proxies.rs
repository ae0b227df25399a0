//! Trusted proxies, and the use of the PROXY protocol.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// Use of the PROXY protocol by the listener of clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// No header is read; a connection that begins with one is refused.
    #[default]
    Off,
    /// A trusted proxy may send a header, and other peers connect directly.
    Optional,
    /// Only trusted proxies connect, each connection with a header.
    Required,
}

/// Error for a text that is no use of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `off`, `optional` or `required`")]
pub struct InvalidProxyProtocol;

impl FromStr for ProxyProtocol {
    type Err = InvalidProxyProtocol;

    fn from_str(text: &str) -> Result<Self, InvalidProxyProtocol> {
        match text {
            "off" => Ok(Self::Off),
            "optional" => Ok(Self::Optional),
            "required" => Ok(Self::Required),
            _ => Err(InvalidProxyProtocol),
        }
    }
}

/// Networks of the proxies whose statements about a client's address are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// Error for an entry that is no network of proxies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProxy {
    /// Neither an address nor a network.
    #[error("`{0}` is not an address or a network such as 192.0.2.7, 10.0.0.0/8, 2001:db8::/64")]
    Syntax(String),
    /// Network with address bits beyond its prefix.
    #[error("`{0}` is an address with a prefix length: write the address alone, or the network {1}")]
    HostBits(String, IpNet),
    /// Network of every address.
    #[error("`{0}` is every address, so that any client could claim any address: list the proxies")]
    Everyone(String),
    /// IPv4-mapped IPv6 address; peers are compared as IPv4.
    #[error("`{0}` is an IPv4-mapped address: write it as IPv4")]
    Mapped(String),
}

impl TrustedProxies {
    /// Parses a list such as `10.0.0.0/8, 192.0.2.7, 2001:db8::/64`.
    ///
    /// # Errors
    /// [`InvalidProxy`] for the first entry that is not an address or a network.
    pub fn parse(list: &str) -> Result<Self, InvalidProxy> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        Ok(Self(entries.map(network).collect::<Result<_, _>>()?))
    }

    /// Reports whether this is the address of a trusted proxy.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Reports whether no proxy is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn network(entry: &str) -> Result<IpNet, InvalidProxy> {
    let address = entry.parse::<IpAddr>().map(IpNet::from);
    let network = address.or_else(|_no_address| entry.parse::<IpNet>());
    let network = network.map_err(|_no_network| InvalidProxy::Syntax(entry.to_owned()))?;
    if network.prefix_len() == 0 {
        return Err(InvalidProxy::Everyone(entry.to_owned()));
    }
    if network.addr() != network.network() {
        return Err(InvalidProxy::HostBits(entry.to_owned(), network.trunc()));
    }
    if network.addr().to_canonical() != network.addr() {
        return Err(InvalidProxy::Mapped(entry.to_owned()));
    }
    Ok(network)
}

/// Proxies in front of a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    protocol: ProxyProtocol,
    trusted: TrustedProxies,
}

/// Error for the use of the PROXY protocol without a trusted proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("needs POSTERN_TRUSTED_PROXIES: without a trusted proxy no PROXY header is believed")]
pub struct NoTrustedProxies;

impl Proxies {
    /// Combines the use of the PROXY protocol with the proxies that may send it.
    ///
    /// # Errors
    /// [`NoTrustedProxies`] when the protocol is on and no proxy is trusted.
    pub fn new(protocol: ProxyProtocol, trusted: TrustedProxies) -> Result<Self, NoTrustedProxies> {
        if protocol != ProxyProtocol::Off && trusted.is_empty() {
            return Err(NoTrustedProxies);
        }
        Ok(Self { protocol, trusted })
    }

    /// Use of the PROXY protocol.
    pub(crate) fn protocol(&self) -> ProxyProtocol {
        self.protocol
    }

    /// Reports whether this is the address of a trusted proxy.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.contains(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(list: &str) -> TrustedProxies {
        TrustedProxies::parse(list).unwrap()
    }

    #[test]
    fn addresses_and_networks_of_both_families_are_trusted() {
        let proxies = trusted(" 10.1.0.0/16, 192.0.2.7,2001:db8:1::/48 , 2001:db8::7,");
        for address in [
            "10.1.2.3",
            "192.0.2.7",
            "2001:db8:1:2::3",
            "2001:db8::7",
            "::ffff:10.1.2.3",
        ] {
            assert!(proxies.contains(address.parse().unwrap()), "{address}");
        }
        for address in ["10.2.0.1", "192.0.2.8", "2001:db8:2::1", "2001:db8::8", "::1"] {
            assert!(!proxies.contains(address.parse().unwrap()), "{address}");
        }
        assert!(trusted(" , ").is_empty());
    }

    #[test]
    fn entries_that_are_no_networks_of_proxies_are_refused() {
        let refused = |entry: &str| TrustedProxies::parse(&format!("192.0.2.1,{entry}")).unwrap_err();
        for text in [
            "proxy.example.com",
            "10.0.0.0/33",
            "10.0.0",
            "10.0.0.1-10.0.0.9",
            "[::1]",
            "192.0.2.1:80",
        ] {
            assert_eq!(refused(text), InvalidProxy::Syntax(text.to_owned()));
        }
        for text in ["0.0.0.0/0", "::/0", "10.0.0.0/0"] {
            assert_eq!(refused(text), InvalidProxy::Everyone(text.to_owned()));
        }
        assert_eq!(
            refused("10.0.0.7/8").to_string(),
            "`10.0.0.7/8` is an address with a prefix length: write the address alone, or the network 10.0.0.0/8"
        );
        for text in ["::ffff:10.0.0.1", "::ffff:10.0.0.0/104"] {
            assert_eq!(refused(text), InvalidProxy::Mapped(text.to_owned()));
        }
    }

    #[test]
    fn proxy_protocol_without_trusted_proxy_is_refused() {
        for protocol in ["optional", "required"] {
            let protocol = protocol.parse().unwrap();
            assert_eq!(Proxies::new(protocol, trusted("")), Err(NoTrustedProxies));
            assert!(Proxies::new(protocol, trusted("192.0.2.7")).is_ok());
        }
        assert!(Proxies::new(ProxyProtocol::Off, trusted("")).is_ok());
        for text in ["", "on", "OFF", "v2"] {
            assert_eq!(text.parse::<ProxyProtocol>(), Err(InvalidProxyProtocol), "{text}");
        }
    }
}
