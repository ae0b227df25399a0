//! HTTP on a fresh TLS stream: routes answer it, until a request makes it a WebSocket.

pub(crate) mod callback;
mod exchange;
pub(crate) mod internal;
mod rates;
mod routes;
pub(crate) mod webhook;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::callback::Callbacks;
use self::exchange::Exchange;
use self::webhook::Webhooks;
use crate::handshake::upgrade::Upgrade;
use crate::listener::Stream;
use crate::metrics::Metrics;
use crate::settings::Origins;

/// How requests are answered on this gateway.
pub(crate) struct Http {
    origins: Origins,
    routes: Router,
    available: Available,
    head_within: Duration,
    soft: CancellationToken,
    metrics: Arc<Metrics>,
}

/// Says whether a new socket could be served just now.
pub(crate) type Available = Box<dyn Fn() -> bool + Send + Sync>;

impl Http {
    /// `head_within` bounds the head of a request and the pause between two; after `soft` each connection ends with the request
    /// it is at.
    pub(crate) fn new(
        origins: Origins,
        available: Available,
        (callbacks, webhooks): (Callbacks, Webhooks),
        head_within: Duration,
        soft: CancellationToken,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            origins,
            routes: routes::routes(callbacks, webhooks),
            available,
            head_within,
            soft,
            metrics,
        }
    }

    /// Answers requests until the stream ends, or becomes a WebSocket and is given back as raw bytes: no state of HTTP stays.
    ///
    /// # Errors
    /// When the client breaks HTTP, goes away or is too slow.
    pub(crate) async fn serve(
        self: Arc<Self>,
        stream: Stream,
        peer: SocketAddr,
    ) -> Result<Option<(Stream, Upgrade)>, hyper::Error> {
        let soft = self.soft.clone();
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_within)
            .max_buf_size(MAX_HEAD);
        let exchange = Exchange::new(self, peer);
        let mut connection = Box::new(builder.serve_connection(TokioIo::new(stream), exchange));
        let mut draining = false;
        loop {
            let ended = tokio::select! {
                biased;
                ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => Some(ended),
                () = soft.cancelled(), if !draining => None,
            };
            match ended {
                Some(ended) => break ended?,
                None => {
                    draining = true;
                    Pin::new(&mut *connection).graceful_shutdown();
                }
            }
        }
        let parts = connection.into_parts();
        let mut stream = parts.io.into_inner();
        // Bytes before our 101 are no frames of this WebSocket: the client must wait for it (RFC 6455, section 4.1).
        match parts.service.granted() {
            Some(upgrade) if parts.read_buf.is_empty() => Ok(Some((stream, upgrade))),
            _ => {
                // The client may be gone already.
                drop(timeout(GOODBYE_WITHIN, stream.shutdown()).await);
                Ok(None)
            }
        }
    }
}

/// For the peer to take the last bytes of its connection.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);
/// The most a request's head may take, in bytes: tokens live in headers, and hyper wants no less than 8 KiB.
const MAX_HEAD: usize = 16 * 1024;
