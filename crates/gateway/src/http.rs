//! HTTP on a new TLS stream: one request, answered by a route or upgraded to a WebSocket.

mod body;
pub(crate) mod callback;
mod cutoff;
mod exchange;
mod forwarded;
pub(crate) mod internal;
mod rates;
mod response;
mod routes;
mod security_headers;
#[cfg(test)]
mod tests;
pub(crate) mod webhook;

use std::future::poll_fn;
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
use crate::listener::admission::Admission;
use crate::listener::client::Client;
use crate::listener::pending::PendingPermit;
use crate::listener::{Stream, linger};
use crate::metrics::{Metrics, RefusalReason};
use crate::settings::{Origins, Proxies, Rate, Timing};
use crate::socket_limit::{SocketLimit, SocketPermit};

/// HTTP server of a gateway.
pub(crate) struct Http {
    origins: Origins,
    origin_log: OriginLog,
    proxies: Proxies,
    admission: Admission,
    routes: Router,
    available: Available,
    sockets: Arc<SocketLimit>,
    timing: Timing,
    soft: CancellationToken,
    metrics: Arc<Metrics>,
}

/// Reports whether the node accepts new sockets.
pub(crate) type Available = Box<dyn Fn() -> bool + Send + Sync>;

/// Stream of a client that is a WebSocket from now on.
pub(crate) struct UpgradedStream {
    pub(crate) stream: Stream,
    pub(crate) upgrade: Upgrade,
    pub(crate) client: Client,
    /// Permit of the socket.
    pub(crate) socket: SocketPermit,
}

/// Error of a connection that ended without a response or an upgrade.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// HTTP violation, disconnect, or slow request head.
    #[error("serve HTTP")]
    Http(#[from] hyper::Error),
    /// Request incomplete at its deadline.
    #[error("the request timed out")]
    SlowRequest,
    /// Response not read by its deadline.
    #[error("the response timed out")]
    SlowReader,
}

impl ServeError {
    /// Returns the reason in the metric of refused connections.
    pub(crate) fn reason(&self) -> RefusalReason {
        match self {
            Self::Http(error) if error.is_timeout() => RefusalReason::SlowRequest,
            Self::Http(_) => RefusalReason::Http,
            Self::SlowRequest => RefusalReason::SlowRequest,
            Self::SlowReader => RefusalReason::SlowReader,
        }
    }
}

impl Http {
    /// Builds the server. After `soft` is cancelled, each connection ends with its current request.
    pub(crate) fn new(
        (origins, proxies, admission): (Origins, Proxies, Admission),
        (available, sockets): (Available, Arc<SocketLimit>),
        (callbacks, webhooks, further): (Callbacks, Webhooks, Router),
        timing: Timing,
        soft: CancellationToken,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            origins,
            origin_log: OriginLog::new(ORIGIN_LOG_RATE, Instant::now()),
            proxies,
            admission,
            routes: routes::routes(callbacks, webhooks, further),
            available,
            sockets,
            timing,
            soft,
            metrics,
        }
    }

    /// Serves the one request of a connection. After an upgrade, returns the raw stream without any HTTP state. A client
    /// that a proxy names only in the request is counted under its address from then on. The request must be
    /// complete in time, counted from `accepted`, and the peer must read the response in time.
    ///
    /// # Errors
    /// [`ServeError`].
    pub(crate) async fn serve(
        self: Arc<Self>,
        stream: Stream,
        (client, permit): (Client, &PendingPermit),
        accepted: Instant,
    ) -> Result<Option<UpgradedStream>, ServeError> {
        let soft = self.soft.clone();
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.timing.request_head)
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_HEAD);
        let request_by = accepted + self.timing.request;
        let (cutoff, mut timer) = (Cutoff::new(request_by), Cutoff::timer(request_by));
        let exchange = Exchange::new(self, (client, permit), request_by, cutoff.clone());
        let mut connection = Box::new(builder.serve_connection(TokioIo::new(stream), exchange));
        let mut draining = false;
        let served = loop {
            let ended = tokio::select! {
                biased;
                ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => Some(ended),
                stage = poll_fn(|cx| cutoff.poll_expired(&mut timer, cx)) => {
                    return Err(match stage {
                        Stage::Writing(_) => ServeError::SlowReader,
                        Stage::Requesting(_) | Stage::Running => ServeError::SlowRequest,
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
        // The client must not send frames before the 101 response (RFC 6455, section 4.1): early bytes prevent the upgrade.
        let upgrade = parts.service.into_upgrade();
        if let Some((upgrade, client, socket)) = upgrade.filter(|_| served.is_ok() && parts.read_buf.is_empty()) {
            return Ok(Some(UpgradedStream {
                stream,
                upgrade,
                client,
                socket,
            }));
        }
        // Lingers after a response, including hyper's own 400 and 431, which are sent before the input is read to its end.
        if served.as_ref().err().is_none_or(hyper::Error::is_parse) {
            linger(stream, LINGER_TIMEOUT).await;
        }
        Ok(served.map(|()| None)?)
    }
}

/// Rate limit of log lines for refused origins.
const ORIGIN_LOG_RATE: Rate = Rate {
    per_second: NonZeroU32::MIN,
    burst: NonZeroU32::MIN.saturating_add(9),
};
/// Timeout of the lingering close.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum size of a request head, in bytes. It fits a token of 16 KiB beside the headers of the client and its proxies.
const MAX_HEAD: usize = 32 * 1024;
