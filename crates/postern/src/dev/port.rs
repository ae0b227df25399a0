//! Ports for `postern dev`: the usual ones, or the next free.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Hands out loopback addresses, each once.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    next: u16,
}

impl Ports {
    /// The first free loopback address from `wanted` on that was not handed out before. Another process may take it before it is
    /// bound; the bind then fails and says so.
    pub(crate) fn free(&mut self, wanted: u16) -> SocketAddr {
        let first = wanted.max(self.next);
        let free = (first..u16::MAX).find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
        let port = free.unwrap_or(0);
        self.next = port.saturating_add(1);
        (Ipv4Addr::LOCALHOST, port).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_gives_the_next_free() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let mut ports = Ports::default();
        let first = ports.free(port);
        assert_ne!(first.port(), port);
        assert_ne!(ports.free(port), first);
    }
}
