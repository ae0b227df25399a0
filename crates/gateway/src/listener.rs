//! The way in, up to a TLS stream: who may connect how often, and with which certificate we answer.

pub(crate) mod admission;
pub(crate) mod certificate;
pub(crate) mod pending;
pub(crate) mod tcp;
pub(crate) mod tls;

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// A byte stream of a client, TLS below. Boxed, so that moving it is cheap and nothing above is generic over it.
pub(crate) type Stream = Box<dyn Io>;

/// What a byte stream can do.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Ends our half of a stream and reads the peer's to its end, within a deadline and a bound: a socket that is closed with unread bytes
/// is reset, and a reset overtakes what was written last. Whoever goes on sending is not worth the work.
pub(crate) async fn linger(mut stream: Stream, within: Duration) {
    let goodbye = async {
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
    // How it ends makes no difference to anyone: the peer is gone or will be.
    drop(timeout(within, Box::pin(goodbye)).await);
}

/// What a peer may still have had on the way.
const LINGER_BYTES: usize = 64 * 1024;
