//! Accepting connections, up to a TLS stream: rate limits, limits on open and pending connections, the address of the client behind
//! a proxy, the server certificate; TLS of the internal API.

pub(crate) mod admission;
pub(crate) mod certificate;
pub(crate) mod client;
pub(crate) mod internal_tls;
pub(crate) mod pending;
pub(crate) mod proxy;
pub(crate) mod tcp;
pub(crate) mod tls;

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Byte stream of a client, decrypted. Boxed, so that it is cheap to move and its users are not generic.
pub(crate) type Stream = Box<dyn Io>;

/// Asynchronous byte stream.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Shuts down the write half and reads the read half to its end, bounded in time and bytes (lingering close). A socket that is closed
/// with unread bytes is reset, and the peer may lose the last bytes written to it.
pub(crate) async fn linger(mut stream: Stream, within: Duration) {
    let shutdown = async {
        stream.shutdown().await?;
        let (mut scratch, mut left) = ([0; 1024], LINGER_BYTES);
        while left > 0 {
            match stream.read(&mut scratch).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        io::Result::Ok(())
    };
    // The result does not matter: the connection is closed in any case.
    drop(timeout(within, Box::pin(shutdown)).await);
}

/// Maximum number of bytes read from the peer, those in flight at the shutdown.
const LINGER_BYTES: usize = 64 * 1024;
