//! Echo server over the gateway's handshake and transport, without TLS and with raised limits, for the Autobahn test suite.

use std::convert::Infallible;
#[cfg(feature = "autobahn")]
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lifecycle::Tasks;
#[cfg(feature = "autobahn")]
use tokio::net::TcpListener;

use super::transport::{Transport, TransportEvent, TransportLimits};
use crate::deflate::DeflatePool;
use crate::handshake::request::Endpoint;
use crate::handshake::upgrade::{Upgrade, negotiate};
use crate::listener::Stream;
use crate::settings::Origins;
use crate::socket::{CloseReason, OutboundQueue};

/// Accepts connections and echoes their messages until accepting fails.
///
/// # Errors
/// The error of accept.
#[cfg(feature = "autobahn")]
pub async fn serve_echo(listener: TcpListener) -> io::Result<()> {
    let tasks = Tasks::new();
    // Every message is compressed where that was negotiated.
    let pool = DeflatePool::new(0);
    loop {
        let (stream, _peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tasks.each("echo", serve(Box::new(stream), pool.clone()));
    }
}

async fn serve(stream: Stream, pool: DeflatePool) {
    if let Ok(Some((stream, upgrade))) = accept(stream).await {
        let deflate = upgrade.deflate.as_ref().map(|params| pool.of(params));
        echo(Transport::with_limits(stream, deflate, &LIMITS)).await;
    }
}

/// Serves the upgrade request. Returns the stream if the request was accepted.
async fn accept(stream: Stream) -> Result<Option<(Stream, Upgrade)>, hyper::Error> {
    let accepted = Arc::new(Mutex::new(None));
    let service = service_fn(|request: Request<Incoming>| {
        let (head, _body) = request.into_parts();
        let response: Response<Body> = match negotiate(Endpoint::Native, &head, &Origins::none()) {
            Ok(upgrade) => {
                let response = upgrade.response();
                *accepted.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
                response
            }
            Err(refusal) => refusal.response(),
        };
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let stream = connection.without_shutdown().await?.io.into_inner();
    let upgrade = accepted.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(upgrade.map(|upgrade| (stream, upgrade)))
}

/// Echoes messages until the WebSocket ends, and closes it as a gateway does.
async fn echo(mut transport: Transport) {
    let outbound = OutboundQueue::default();
    let close_reason = loop {
        match std::future::poll_fn(|cx| transport.poll_event(&outbound, cx)).await {
            TransportEvent::Message(message) => {
                // The queue is empty, and `push_first` does not check its bound.
                outbound.push_first(message);
                transport.flush(&outbound).await;
            }
            TransportEvent::Ended(close_reason) => break close_reason,
            TransportEvent::Overflowed => break CloseReason::QueueFull,
            TransportEvent::Pong | TransportEvent::Ping | TransportEvent::Blocked | TransportEvent::Flowing => {}
        }
    };
    let code = close_reason.code().map(|code| (code, code.as_str()));
    transport.close(code, CLOSE_TIMEOUT).await;
}

/// Limits that the largest cases of the suite, of 16 MiB and 65,536 fragments, do not reach.
const LIMITS: TransportLimits = TransportLimits {
    max_message: 32 * 1024 * 1024,
    max_fragments: 1 << 20,
    max_write_buffer: usize::MAX,
};

const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use testkit::client::frame::Frame;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const REQUEST: &[u8] =
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: postern.v1.json\r\n\r\n";

    #[tokio::test]
    async fn message_beyond_the_limits_of_a_gateway_is_echoed() {
        let (stream, mut peer) = duplex(64 * 1024);
        let tasks = Tasks::new();
        tasks.each("echo", serve(Box::new(stream), DeflatePool::new(0)));
        peer.write_all(REQUEST).await.unwrap();
        let mut head = [0; 12];
        peer.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 101");
        let mut unread = Vec::new();
        let end = loop {
            peer.read_buf(&mut unread).await.unwrap();
            if let Some(at) = unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
        };
        unread.drain(..end);

        let message = vec![b'x'; 3 * 1024 * 1024];
        peer.write_all(&Frame::binary(message.clone()).bytes()).await.unwrap();
        let echo = loop {
            if let Some(frame) = Frame::take(&mut unread) {
                break frame;
            }
            peer.read_buf(&mut unread).await.unwrap();
        };
        assert!(echo.payload == message, "{} bytes", echo.payload.len());
    }
}
