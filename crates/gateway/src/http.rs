//! HTTP on a fresh TLS stream: a route answers its one request, or the request makes it a WebSocket.

mod body;
pub(crate) mod callback;
mod cutoff;
mod exchange;
pub(crate) mod internal;
mod rates;
mod routes;
#[cfg(test)]
mod tests;
pub(crate) mod webhook;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::callback::Callbacks;
use self::cutoff::{Cutoff, Stage};
use self::exchange::Exchange;
use self::webhook::Webhooks;
use crate::handshake::origin::OriginLog;
use crate::handshake::upgrade::Upgrade;
use crate::listener::{Stream, linger};
use crate::metrics::Metrics;
use crate::settings::{Origins, Rate, Timing};

/// How requests are answered on this gateway.
pub(crate) struct Http {
    origins: Origins,
    origin_log: OriginLog,
    routes: Router,
    available: Available,
    timing: Timing,
    soft: CancellationToken,
    metrics: Arc<Metrics>,
}

/// Says whether a new socket could be served just now.
pub(crate) type Available = Box<dyn Fn() -> bool + Send + Sync>;

/// Why a connection ended without an answer or an upgrade.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The client breaks HTTP or goes away, or its head is too slow.
    #[error("speak HTTP")]
    Http(#[from] hyper::Error),
    /// No whole head in time.
    #[error("the request took too long")]
    SlowRequest,
    /// The answer was not taken in time.
    #[error("the peer did not take its answer")]
    SlowReader,
}

impl ServeError {
    /// The metric label.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Http(error) if error.is_timeout() => "slow_request",
            Self::Http(_) => "http",
            Self::SlowRequest => "slow_request",
            Self::SlowReader => "slow_reader",
        }
    }
}

impl Http {
    /// After `soft` each connection ends with the request it is at.
    pub(crate) fn new(
        origins: Origins,
        available: Available,
        (callbacks, webhooks): (Callbacks, Webhooks),
        timing: Timing,
        soft: CancellationToken,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            origins,
            origin_log: OriginLog::new(ORIGIN_LINES, Instant::now()),
            routes: routes::routes(callbacks, webhooks),
            available,
            timing,
            soft,
            metrics,
        }
    }

    /// Answers the one request of a connection, or gives the stream back as raw bytes when it has become a WebSocket: no state of
    /// HTTP stays. The request must be whole in time, counted from `accepted`, and the peer must take the answer in time.
    ///
    /// # Errors
    /// [`ServeError`].
    pub(crate) async fn serve(
        self: Arc<Self>,
        stream: Stream,
        peer: SocketAddr,
        accepted: Instant,
    ) -> Result<Option<(Stream, Upgrade)>, ServeError> {
        let soft = self.soft.clone();
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.timing.request_head)
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_HEAD);
        let request_by = accepted + self.timing.request;
        let (cutoff, mut timer) = (Cutoff::new(request_by), Cutoff::timer(request_by));
        let exchange = Exchange::new(self, peer, request_by, cutoff.clone());
        let mut connection = Box::new(builder.serve_connection(TokioIo::new(stream), exchange));
        let mut draining = false;
        let served = loop {
            let ended = tokio::select! {
                biased;
                ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => Some(ended),
                stage = poll_fn(|cx| cutoff.poll_late(&mut timer, cx)) => {
                    return Err(match stage {
                        Stage::Writing(_) => ServeError::SlowReader,
                        Stage::Requesting(_) | Stage::Answering => ServeError::SlowRequest,
                    });
                }
                () = soft.cancelled(), if !draining => None,
            };
            match ended {
                Some(ended) => break ended,
                None => {
                    draining = true;
                    Pin::new(&mut *connection).graceful_shutdown();
                }
            }
        };
        let parts = connection.into_parts();
        let stream = parts.io.into_inner();
        // Bytes before our 101 are no frames of this WebSocket: the client must wait for it (RFC 6455, section 4.1).
        let granted = parts.service.granted();
        if let Some(upgrade) = granted.filter(|_| served.is_ok() && parts.read_buf.is_empty()) {
            return Ok(Some((stream, upgrade)));
        }
        // After an answer, also hyper's own 400 and 431, for which it has not read all that came.
        if served.as_ref().err().is_none_or(hyper::Error::is_parse) {
            linger(stream, GOODBYE_WITHIN).await;
        }
        Ok(served.map(|()| None)?)
    }
}

/// How often a refused Origin is logged.
const ORIGIN_LINES: Rate = Rate {
    per_second: NonZeroU32::MIN,
    burst: NonZeroU32::MIN.saturating_add(9),
};
/// For the peer to take the last bytes of its connection.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);
/// The most a request's head may take, in bytes: a token of 16 KiB lives in a header, among others of the client and its proxies.
const MAX_HEAD: usize = 32 * 1024;
