//! Origin of a socket, for alerts and the audit log.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// Origin of a socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// IP address.
    pub address: String,
    /// Id that the device gives itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// Name that the device gives itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// User-Agent of the upgrade request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

impl Origin {
    /// Origin of a request that names no device. A mapped IPv4 address of an IPv6 listener is written as IPv4.
    #[must_use]
    pub fn of_peer(address: IpAddr, user_agent: Option<String>) -> Self {
        Self {
            address: address.to_canonical().to_string(),
            device_id: None,
            device_name: None,
            user_agent,
        }
    }

    /// Identity of the device: its own id, else its User-Agent, else `unknown`.
    #[must_use]
    pub fn device(&self) -> &str {
        let names = [&self.device_id, &self.user_agent].into_iter().flatten();
        names
            .map(String::as_str)
            .find(|name| !name.is_empty())
            .unwrap_or("unknown")
    }

    /// Network of the address: its /24, or its /48 for IPv6.
    #[must_use]
    pub fn network(&self) -> String {
        match self.address.parse().map(|address: IpAddr| address.to_canonical()) {
            Ok(IpAddr::V4(v4)) => format!("{}/24", Ipv4Addr::from_bits(v4.to_bits() & !0xff)),
            Ok(IpAddr::V6(v6)) => format!("{}/48", Ipv6Addr::from_bits(v6.to_bits() & !(u128::MAX >> 48))),
            Err(_no_address) => self.address.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Origin {
        Origin {
            address: address.to_owned(),
            device_id: None,
            device_name: Some("Ada's phone".to_owned()),
            user_agent: None,
        }
    }

    #[test]
    fn device_is_identified_by_its_id_then_by_its_user_agent() {
        let nameless = from("192.0.2.7");
        assert_eq!(nameless.device(), "unknown");
        let browser = Origin {
            user_agent: Some("Mozilla/5.0".to_owned()),
            device_id: Some(String::new()),
            ..nameless
        };
        assert_eq!(browser.device(), "Mozilla/5.0");
        let app = Origin {
            device_id: Some("d-1".to_owned()),
            ..browser
        };
        assert_eq!(app.device(), "d-1");
    }

    #[test]
    fn mapped_address_is_written_as_ipv4() {
        for (address, shown) in [
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(Origin::of_peer(address.parse().unwrap(), None).address, shown);
        }
    }

    #[test]
    fn network_is_a_24_or_a_48() {
        for (address, network) in [
            ("192.0.2.7", "192.0.2.0/24"),
            ("::ffff:192.0.2.7", "192.0.2.0/24"),
            ("2001:db8:1:2::1", "2001:db8:1::/48"),
            ("elsewhere", "elsewhere"),
        ] {
            assert_eq!(from(address).network(), network);
        }
    }
}
