//! Ports of `postern dev`: the default ones, or the next free ones.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

/// Binds a loopback address, with port `wanted` or the next free one. Binding is the test: checking first would race with other
/// processes.
///
/// # Errors
/// Errors of `bind` other than a taken port.
pub(crate) async fn first_free<T, E: Error + 'static>(
    wanted: u16,
    mut bind: impl AsyncFnMut(SocketAddr) -> Result<T, E>,
) -> Result<T, E> {
    let mut port = wanted;
    loop {
        match bind((Ipv4Addr::LOCALHOST, port).into()).await {
            Err(error) if is_taken(&error) && port < u16::MAX => port += 1,
            done => return done,
        }
    }
}

fn is_taken(error: &(dyn Error + 'static)) -> bool {
    let taken = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
    error.downcast_ref().is_some_and(taken) || error.source().is_some_and(is_taken)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn taken_port_selects_the_next_free_one() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let bind = async |address: SocketAddr| TcpListener::bind(address).await;
        let first = first_free(port, bind).await.unwrap().local_addr().unwrap();
        assert!(first.port() > port);
    }

    #[tokio::test]
    async fn other_bind_errors_are_returned() {
        let refused = first_free(1, async |_| {
            Err::<(), _>(io::Error::from(io::ErrorKind::PermissionDenied))
        })
        .await;
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
