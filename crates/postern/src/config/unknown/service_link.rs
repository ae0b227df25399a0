//! Variables that Kubernetes sets in every pod for each Service: `POSTERN_GATEWAY_SERVICE_HOST` for the Service `postern-gateway`.
//!
//! The forms are the Service's own and those of Docker's links, as
//! <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables> has them. The value must fit, so that a
//! misspelt variable is not taken for one.

use std::net::IpAddr;

/// Checks whether Kubernetes sets this variable for a Service.
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    let parts: Vec<&str> = name.split('_').collect();
    match parts.as_slice() {
        [_, .., "SERVICE", "HOST"] => is_address(value),
        [_, .., "PORT", port, protocol] if is_port(port) && is_protocol(protocol) => is_link(value),
        [_, .., "PORT", port, protocol, "PROTO"] if is_port(port) && is_protocol(protocol) => {
            is_protocol(&value.to_uppercase())
        }
        [_, .., "PORT", port, protocol, "PORT"] if is_port(port) && is_protocol(protocol) => is_port(value),
        [_, .., "PORT", port, protocol, "ADDR"] if is_port(port) && is_protocol(protocol) => is_address(value),
        [_, .., "PORT"] if is_link(value) => true,
        // The port, and the port of each named port.
        [_, parts @ ..] => parts.windows(2).any(|pair| pair == ["SERVICE", "PORT"]) && is_port(value),
        [] => false,
    }
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

fn is_protocol(text: &str) -> bool {
    matches!(text, "TCP" | "UDP" | "SCTP")
}

/// `tcp://10.0.0.1:8443`.
fn is_link(text: &str) -> bool {
    let link = text.split_once("://");
    link.is_some_and(|(protocol, address)| {
        is_protocol(&protocol.to_uppercase()) && address.parse::<std::net::SocketAddr>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_services_are_recognized() {
        for service in ["POSTERN", "POSTERN_GATEWAY", "POSTERN_X_SERVICE_PORT"] {
            for (suffix, value) in [
                ("SERVICE_HOST", "10.0.0.1"),
                ("SERVICE_HOST", "fd00::1"),
                ("SERVICE_PORT", "8443"),
                ("SERVICE_PORT_WSS", "8443"),
                ("SERVICE_PORT_INTERNAL_API", "9091"),
                ("PORT", "tcp://10.0.0.1:8443"),
                ("PORT", "udp://[fd00::1]:53"),
                ("PORT_8443_TCP", "tcp://10.0.0.1:8443"),
                ("PORT_8443_TCP_PROTO", "tcp"),
                ("PORT_8443_TCP_PORT", "8443"),
                ("PORT_8443_TCP_ADDR", "10.0.0.1"),
                ("PORT_53_UDP", "udp://10.0.0.1:53"),
                ("PORT_7_SCTP_ADDR", "10.0.0.1"),
            ] {
                let name = format!("{service}_{suffix}");
                assert!(is_service_link(&name, value), "{name}={value}");
            }
        }
    }

    #[test]
    fn variables_that_only_resemble_them_are_not() {
        for (name, value) in [
            ("POSTERN_INTERNAL_PORT", "9091"),
            ("POSTERN_LISTEN_PORT", "tcp"),
            ("POSTERN_REDIS_SERVICE_HOST", "redis"),
            ("POSTERN_SERVICE_PORT", "soon"),
            ("POSTERN_PORT_X_TCP", "tcp://10.0.0.1:8443"),
            ("POSTERN_PORT_8443_TCP_ADDR", "gateway"),
            ("POSTERN_SERVICE", "8443"),
            ("POSTERN_LISTEN", "10.0.0.1"),
        ] {
            assert!(!is_service_link(name, value), "{name}={value}");
        }
    }
}
