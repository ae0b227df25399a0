//! Whom a secret may be handed to without TLS: this machine.

use url::Host;

/// Whether what is sent to this host never leaves the machine.
pub fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        // RFC 6761 section 6.3: never anything but loopback.
        Host::Domain(name) => *name == "localhost",
    }
}
