//! TCP stream with a timeout for stalled peers.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// Stream whose reads and writes fail if the peer sends, or reads, nothing for too long.
pub(super) struct StallTimeout {
    tcp: TcpStream,
    read: Wait,
    write: Wait,
}

/// Wait for one direction.
struct Wait {
    timer: Pin<Box<Sleep>>,
    limit: Duration,
    is_pending: bool,
}

impl StallTimeout {
    /// Wraps a stream whose peer may stall for `limit`.
    pub(super) fn new(tcp: TcpStream, limit: Duration) -> Self {
        let wait = || Wait {
            timer: Box::pin(sleep(limit)),
            limit,
            is_pending: false,
        };
        Self {
            tcp,
            read: wait(),
            write: wait(),
        }
    }
}

impl Wait {
    /// Passes the result of a poll on; a wait above the limit is an error.
    fn bound<T>(&mut self, polled: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.is_pending = false;
            return polled;
        }
        if !self.is_pending {
            self.is_pending = true;
            self.timer.as_mut().reset(Instant::now() + self.limit);
        }
        self.timer
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for StallTimeout {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.tcp).poll_read(cx, buf);
        self.read.bound(polled, cx)
    }
}

impl AsyncWrite for StallTimeout {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        self.write.bound(polled, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const STALL_TIMEOUT: Duration = Duration::from_millis(200);

    async fn pair() -> (StallTimeout, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (tcp, _) = listener.accept().await.unwrap();
        (StallTimeout::new(tcp, STALL_TIMEOUT), peer)
    }

    #[tokio::test]
    async fn peer_that_reads_nothing_times_out() {
        let (mut stream, _peer) = pair().await;
        let written = async {
            loop {
                stream.write_all(&[0; 64 * 1024]).await?;
            }
        };
        let ended: io::Result<()> = written.await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn peer_that_sends_nothing_times_out() {
        let (mut stream, _peer) = pair().await;
        let read = stream.read_u8().await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
