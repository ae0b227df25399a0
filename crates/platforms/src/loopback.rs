//! Hosts to which secrets may be sent without TLS: this machine.

use url::Host;

/// Reports whether requests to this host never leave the machine.
pub fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        // RFC 6761 section 6.3: always loopback.
        Host::Domain(name) => *name == "localhost",
    }
}
