//! Free TCP ports for servers that cannot bind port 0 or must return on the same port.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use crate::fail::fail;

/// TCP port of 127.0.0.1 that no other test uses while this value lives, even when no server listens on it.
///
/// The claim is the UDP socket of the same number: the kernel grants it to one process only and releases it when that process
/// dies. The number lies below the range of outgoing connections, so a client that connects to a stopped server cannot be
/// assigned the server's own port and connect to itself.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Claim on the port, never used.
    _claim: UdpSocket,
}

impl Port {
    /// Claims a port on which no server listens.
    ///
    /// A foreign program can still take it before the caller's server does; the caller then claims another one.
    pub fn claim() -> Self {
        let start = RandomState::new().build_hasher().finish() % u64::from(SPAN);
        let start = u16::try_from(start).unwrap_or_default();
        let candidates = (0..SPAN).map(|step| FIRST + (start + step) % SPAN);
        for number in candidates {
            let Ok(claim) = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)) else {
                continue;
            };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self { number, _claim: claim };
            }
        }
        fail("claim a port", "all are taken")
    }

    /// Number of the port.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Address to listen on: 127.0.0.1 with this port.
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// First port of outgoing connections on Linux (`ip_local_port_range`).
const FIRST: u16 = 12_000;
const SPAN: u16 = 20_000;
