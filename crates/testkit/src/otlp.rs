//! Receiver of OpenTelemetry's protocol (OTLP) that keeps what it receives: gRPC and HTTP with protobuf, on one port.

mod received;
mod serve;

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use opentelemetry_proto::tonic as proto;

pub use self::received::{
    OtlpRequest, Received, ReceivedLog, ReceivedMetric, ReceivedSpan, attributes, hexadecimal, text_of,
};

use self::serve::Service;
use crate::listening::Listening;
use crate::tls::Authority;
use crate::wait;

/// Receiver on a free port of 127.0.0.1. It ends with this value.
///
/// For a receiver that hangs, resets its connections or is away for a while, put a [`crate::Proxy`] before it.
#[derive(Debug)]
pub struct OtlpReceiver {
    listening: Listening,
    shared: Arc<OtlpState>,
    scheme: &'static str,
}

#[derive(Debug)]
pub(crate) struct OtlpState {
    received: Mutex<Received>,
    status: AtomicU16,
}

impl OtlpReceiver {
    /// Starts a receiver without TLS.
    pub async fn start() -> Self {
        Self::serving(None).await
    }

    /// Starts a receiver with a certificate of this authority, which accepts only clients with a certificate of `clients`, if
    /// given.
    pub async fn start_tls(authority: &Authority, clients: Option<&Authority>) -> Self {
        Self::serving(Some(serve::acceptor(authority, clients))).await
    }

    async fn serving(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let shared = Arc::new(OtlpState {
            received: Mutex::default(),
            status: AtomicU16::new(OK),
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let service = Service::new(Arc::clone(&shared), tls);
        let listening = Listening::start("listen for OTLP", move |stream| service.clone().serve(stream)).await;
        Self {
            listening,
            shared,
            scheme,
        }
    }

    /// `http://127.0.0.1:<port>`, or with `https`: the endpoint for `OTEL_EXPORTER_OTLP_ENDPOINT`, of both protocols.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.listening.addr)
    }

    /// Address for a proxy.
    pub fn addr(&self) -> std::net::SocketAddr {
        self.listening.addr
    }

    /// Sets the status of further responses; with any HTTP status but 200 a request is refused, and nothing of it is kept but its
    /// head. gRPC clients see the status that stands for it, such as `UNAVAILABLE` for 503.
    pub fn answers(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    /// Telemetry received so far.
    pub fn received(&self) -> Received {
        self.shared.lock().clone()
    }

    /// Waits until `check` returns a value for everything received so far. `what` completes "waited 30s for ...".
    pub async fn until<T>(&self, what: &str, check: impl Fn(&Received) -> Option<T>) -> T {
        wait::until(what, wait::deadline(), async || check(&self.shared.lock())).await
    }

    /// Waits for a span, the first one that `is_it`.
    pub async fn span(&self, what: &str, is_it: impl Fn(&ReceivedSpan) -> bool) -> ReceivedSpan {
        self.until(what, |received| received.spans.iter().find(|span| is_it(span)).cloned())
            .await
    }

    /// Waits for a metric, the first one that `is_it`.
    pub async fn metric(&self, what: &str, is_it: impl Fn(&ReceivedMetric) -> bool) -> ReceivedMetric {
        self.until(what, |received| {
            received.metrics.iter().find(|metric| is_it(metric)).cloned()
        })
        .await
    }

    /// Waits for a log record, the first one that `is_it`.
    pub async fn log(&self, what: &str, is_it: impl Fn(&ReceivedLog) -> bool) -> ReceivedLog {
        self.until(what, |received| received.logs.iter().find(|log| is_it(log)).cloned())
            .await
    }
}

impl OtlpState {
    fn lock(&self) -> std::sync::MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self) -> u16 {
        self.status.load(Ordering::SeqCst)
    }
}

const OK: u16 = 200;
