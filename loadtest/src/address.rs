//! Address of a server: host and port.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, bail};
use tokio::net::{TcpSocket, TcpStream, lookup_host};

/// Host, by name or IP address, and port. A name is resolved at each connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Name, or IP address without brackets.
    pub(crate) host: String,
    port: u16,
}

impl Address {
    /// Parses `host:port`; an IPv6 address is in brackets.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let (host, port) = text.rsplit_once(':').context("the address has no port")?;
        Ok(Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: port.parse().context("read the port")?,
        })
    }

    /// The address, if it is one of this machine.
    pub(crate) fn on_loopback(self) -> anyhow::Result<Self> {
        let ip = self.host.parse::<std::net::IpAddr>();
        if self.host != "localhost" && !ip.is_ok_and(|ip| ip.is_loopback()) {
            bail!("{self} is not a loopback address: load goes nowhere else");
        }
        Ok(self)
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> anyhow::Result<TcpStream> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Connects from an address of this machine.
    pub(crate) async fn connect_from(&self, source: Ipv4Addr) -> anyhow::Result<TcpStream> {
        let mut addresses = lookup_host((self.host.as_str(), self.port)).await?;
        let address = addresses.find(SocketAddr::is_ipv4).context("no IPv4 address")?;
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// True for an IPv4 address of this machine, or its name.
    pub(crate) fn is_ipv4_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_host_and_port_with_brackets_around_ipv6_only() {
        for text in ["127.0.0.1:8443", "[::1]:8443", "alerts.example:443"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Address::parse("[::1]:8443").unwrap().host, "::1");
        for text in ["127.0.0.1", "localhost:", "localhost:99999"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_loopback_addresses_are_on_loopback() {
        for (text, is_loopback) in [
            ("127.0.0.1:1", true),
            ("127.8.0.1:1", true),
            ("[::1]:1", true),
            ("localhost:1", true),
            ("10.0.0.1:1", false),
            ("localhost.example:1", false),
            ("[::ffff:10.0.0.1]:1", false),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.on_loopback().is_ok(), is_loopback, "{text}");
        }
    }
}
