//! `X-Forwarded-For` of a proxy that ends TLS itself and connects to the gateway under its own.
//!
//! The standard header `Forwarded` (RFC 7239) is not read: proxies append to one of the two and pass the other on unchanged, so that a
//! client could choose its address in the other.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName};

use crate::listener::client::Client;
use crate::settings::Proxies;

/// Returns the client of a request: where the connection comes from a trusted proxy, the last address of the list that is not a trusted
/// proxy's. Everything before it is the client's own text. An entry that is no address ends the search.
pub(super) fn client(connection: Client, headers: &HeaderMap, proxies: &Proxies) -> Client {
    if !connection.is_forwarding() {
        return connection;
    }
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
    let entries = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    let mut client = connection;
    for address in entries.map_while(address) {
        client = Client::forwarded_from(address, proxies);
        if client.limited_address().is_some() {
            break;
        }
    }
    client
}

/// Parses an entry: an address, as some proxies write it with a port, or in brackets.
fn address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let bracketed = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(bracketed) = bracketed {
        return bracketed.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    entry.parse().ok().or_else(with_port)
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::settings::{ProxyProtocol, TrustedProxies};

    fn proxies(protocol: ProxyProtocol) -> Proxies {
        Proxies::new(protocol, TrustedProxies::parse("10.0.0.0/8, 2001:db8:1::/48").unwrap()).unwrap()
    }

    fn named(peer: &str, lines: &[&str]) -> String {
        let proxies = proxies(ProxyProtocol::Off);
        let headers = lines
            .iter()
            .map(|line| (X_FORWARDED_FOR, HeaderValue::from_str(line).unwrap()));
        let peer = Client::of_peer(peer.parse().unwrap(), &proxies);
        client(peer, &headers.collect(), &proxies).address().to_string()
    }

    const PROXY: &str = "10.0.0.1:4711";

    #[test]
    fn right_most_untrusted_address_is_the_client() {
        for (lines, client) in [
            (&["192.0.2.7"][..], "192.0.2.7"),
            (&["192.0.2.7, 10.1.1.1, 10.2.2.2"], "192.0.2.7"),
            (&["192.0.2.7:5000"], "192.0.2.7"),
            (&["2001:db8:2::7"], "2001:db8:2::7"),
            (&["[2001:db8:2::7]:5000,2001:db8:1::1"], "2001:db8:2::7"),
            (&["[2001:db8:2::7]"], "2001:db8:2::7"),
            (&["::ffff:192.0.2.7"], "192.0.2.7"),
            (&["203.0.113.9", "192.0.2.7", "10.1.1.1"], "192.0.2.7"),
        ] {
            assert_eq!(named(PROXY, lines), client, "{lines:?}");
        }
    }

    #[test]
    fn entries_to_the_left_of_the_client_count_for_nothing() {
        for forged in [
            "203.0.113.9, 192.0.2.7",
            "10.9.9.9, 192.0.2.7",
            "x, , \"<>, 192.0.2.7",
            "127.0.0.1,192.0.2.7",
        ] {
            assert_eq!(named(PROXY, &[forged]), "192.0.2.7", "{forged}");
        }
    }

    #[test]
    fn unreadable_entry_ends_the_search_at_the_last_proxy() {
        for (line, client) in [
            ("", "10.0.0.1"),
            ("unknown", "10.0.0.1"),
            ("192.0.2.7, _hidden", "10.0.0.1"),
            ("192.0.2.7, 192.0.2, 10.1.1.1", "10.1.1.1"),
            ("192.0.2.7,", "10.0.0.1"),
            ("10.3.3.3, 10.1.1.1", "10.3.3.3"),
        ] {
            assert_eq!(named(PROXY, &[line]), client, "{line}");
        }
    }

    #[test]
    fn header_of_an_untrusted_peer_is_ignored() {
        assert_eq!(named("192.0.2.1:4711", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(named("192.0.2.1:4711", &["203.0.113.9, 10.1.1.1"]), "192.0.2.1");
    }

    #[test]
    fn header_through_a_proxy_that_passes_tls_is_ignored() {
        let proxies = proxies(ProxyProtocol::Optional);
        let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, HeaderValue::from_static("203.0.113.9"))]);
        let peer = Client::of_peer(PROXY.parse().unwrap(), &proxies);
        assert_eq!(client(peer, &headers, &proxies).address().to_string(), "10.0.0.1");
    }
}
