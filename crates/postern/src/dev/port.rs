//! Ports for `postern dev`: the usual ones, or the next free.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

/// Binds a loopback address, `wanted` or the next port that nobody has. What does the binding decides: looking first would leave
/// a moment in which another process takes the port.
///
/// # Errors
/// What `bind` says, unless that is "taken".
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
    async fn a_taken_port_gives_the_next_free() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let bind = async |address: SocketAddr| TcpListener::bind(address).await;
        let first = first_free(port, bind).await.unwrap().local_addr().unwrap();
        assert!(first.port() > port);
    }

    #[tokio::test]
    async fn another_error_is_told() {
        let refused = first_free(1, async |_| {
            Err::<(), _>(io::Error::from(io::ErrorKind::PermissionDenied))
        })
        .await;
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
