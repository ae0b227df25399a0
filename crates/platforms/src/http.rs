//! HTTP client of this crate: no redirects, bounds on time and size, and errors that report whether the request left this
//! machine.

use std::error::Error;
use std::fmt;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, Request, Response, StatusCode};
use jwks::{FetchError, JwksClient, system_tls};
use lifecycle::Dependencies;
use opentelemetry::metrics::Meter;
use protocol::account::AccountType;
use protocol::fault::chain;
use protocol::secret::Secret;
use telemetry::trace;
use tracing::Instrument;
use url::Url;

use crate::metrics::Metrics;
use crate::outage::Outages;
use crate::route::Route;
use crate::trace::{call_span, record_status};

/// Sends requests to platforms. A clone shares its connections.
#[derive(Debug, Clone)]
pub struct Http {
    transport: Transport,
    metrics: Metrics,
    outages: Outages,
}

#[derive(Clone)]
enum Transport {
    Network(Network),
    Scripted(Arc<Script>),
}

#[derive(Debug, Clone)]
struct Network {
    client: reqwest::Client,
    timeouts: Timeouts,
}

type Script = dyn Fn(&Request<Vec<u8>>) -> Response<Vec<u8>> + Send + Sync;

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Scripted(_) => f.write_str("Scripted"),
        }
    }
}

/// Timeouts of a call.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Bound on connecting, TLS included.
    pub connect: Duration,
    /// Bound on the whole call, up to the last byte of the answer.
    pub total: Duration,
}

impl Default for Timeouts {
    /// Two consecutive calls, as a connect makes them (exchange, profile), end within the 10 s that its client waits.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            total: Duration::from_secs(4),
        }
    }
}

/// Cause of a client that could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The TLS configuration was rejected.
    #[error("set up TLS for the platforms")]
    Tls(#[from] rustls::Error),
    /// The HTTP client was rejected.
    #[error("set up the HTTP client for the platforms")]
    Client(#[from] reqwest::Error),
}

/// Cause of a call without a usable answer. No variant contains a URL, a header or a body: all three may carry secrets.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// No connection could be made: the request did not leave this machine.
    #[error("the request was not sent")]
    NotSent(#[source] Box<dyn Error + Send + Sync>),
    /// The answer took too long.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection broke before the answer was complete.
    #[error("the connection broke")]
    Broken(#[source] reqwest::Error),
    /// The answer exceeded [`MAX_ANSWER_SIZE`].
    #[error("the answer is larger than {MAX_ANSWER_SIZE} bytes")]
    TooLarge,
    /// The answer had a status without a defined meaning.
    #[error("the answer was status {0}")]
    Status(StatusCode),
    /// The body does not match the platform's documentation. The parser's error is left out, as it could quote the body.
    #[error("the answer could not be read")]
    Unreadable,
}

impl CallError {
    /// Class of the failure, in metrics and traces.
    pub(crate) fn error_type(&self) -> &'static str {
        match self {
            Self::NotSent(_) => "not_sent",
            Self::TimedOut(_) => "timeout",
            Self::Broken(_) => "broken",
            Self::TooLarge => "too_large",
            Self::Status(_) => "status",
            Self::Unreadable => "unreadable",
        }
    }

    /// Class of a failure of the platform itself; none for an answer that says something about this call.
    fn outage(&self) -> Option<&'static str> {
        match self {
            // The request could not be built.
            Self::NotSent(source) if source.is::<http::Error>() => None,
            Self::NotSent(_) => Some("unreachable"),
            Self::TimedOut(_) => Some("timeout"),
            Self::Broken(_) => Some("broken"),
            Self::Status(status) if status.is_server_error() => Some("server_error"),
            Self::Status(_) | Self::TooLarge | Self::Unreadable => None,
        }
    }
}

/// Reports whether the failure at the end of this chain is part of an outage of a platform, whose beginning and end
/// [`Http::reporting_to`] logs.
#[must_use]
pub fn is_logged_outage(error: &(dyn Error + 'static)) -> bool {
    let mut causes = iter::successors(Some(error), |error| (*error).source());
    let failure = causes.find_map(|error| error.downcast_ref::<CallError>());
    failure.is_some_and(|failure| failure.outage().is_some())
}

/// Largest answer that is read. GitHub's pages of 50 notifications, the largest expected, are below half of it.
const MAX_ANSWER_SIZE: usize = 1024 * 1024;

impl Http {
    /// Client that trusts the system's root certificates.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn new(timeouts: Timeouts) -> Result<Self, BuildError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(system_tls("every platform")?)
            .user_agent(concat!("Postern/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry code or token to another host (RFC 9700 section 4.12).
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.total)
            // The platform may close a connection that idles longer at the moment when a code is sent on it.
            .pool_idle_timeout(Duration::from_secs(20))
            .build()?;
        Ok(Self::unmetered(Transport::Network(Network { client, timeouts })))
    }

    /// Client that sends nothing and takes its answers from a function: for tests of answers.
    #[must_use]
    pub fn answering(script: impl Fn(&Request<Vec<u8>>) -> Response<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self::unmetered(Transport::Scripted(Arc::new(script)))
    }

    fn unmetered(transport: Transport) -> Self {
        Self {
            transport,
            metrics: Metrics::default(),
            outages: Outages::default(),
        }
    }

    /// Records each call in instruments of this meter.
    #[must_use]
    pub fn metered(self, meter: &Meter) -> Self {
        Self {
            metrics: Metrics::new(meter),
            ..self
        }
    }

    /// Reports outages of platforms to these dependencies: the only log lines of their calls.
    #[must_use]
    pub fn reporting_to(self, dependencies: Dependencies) -> Self {
        Self {
            outages: Outages::reported_to(dependencies),
            ..self
        }
    }

    /// Lists a platform among the dependencies before its first call.
    pub(crate) fn list(&self, platform: AccountType) {
        self.outages.list(platform);
    }

    /// Client of a key set, with this client's connections, bounds on time and metrics.
    pub(crate) fn jwks_client(&self, route: Route, url: Url) -> JwksClient {
        let client = match &self.transport {
            Transport::Network(network) => JwksClient::with_client(network.client.clone(), url),
            Transport::Scripted(script) => JwksClient::scripted(Arc::clone(script), url),
        };
        let metrics = self.metrics.clone();
        client.observed(move |took, fetched| metrics.record(route, &Method::GET, took, answer_to_fetch(fetched)))
    }

    /// Sends a request of this route once, and reads the whole answer, whatever its status.
    pub(crate) async fn send(&self, route: Route, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, CallError> {
        let span = call_span(route, &request);
        let timer = self.metrics.start(route, request.method());
        let answer = self.transmit(request).instrument(span.clone()).await;
        match &answer {
            Ok(answer) => record_status(&span, answer.status()),
            Err(error) => trace::failed(&span, error.error_type(), error),
        }
        timer.end(answer.as_ref().map(Response::status).map_err(CallError::error_type));
        self.record_outage(route.platform, &answer);
        answer
    }

    fn record_outage(&self, platform: AccountType, answer: &Result<Response<Vec<u8>>, CallError>) {
        let by_status;
        let end = match answer {
            Ok(answer) => {
                by_status = CallError::Status(answer.status());
                &by_status
            }
            Err(error) => error,
        };
        self.outages
            .record(platform, end.outage().map(|class| (class, chain(end))));
    }

    async fn transmit(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, CallError> {
        match &self.transport {
            Transport::Network(network) => network.send(request).await,
            Transport::Scripted(script) => Ok(script(&request)),
        }
    }
}

impl Network {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, CallError> {
        let request = reqwest::Request::try_from(request).map_err(|error| self.classify(error))?;
        let mut answer = self
            .client
            .execute(request)
            .await
            .map_err(|error| self.classify(error))?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.classify(error))? {
            if body.len() + chunk.len() > MAX_ANSWER_SIZE {
                return Err(CallError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = Response::new(body);
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }

    fn classify(&self, error: reqwest::Error) -> CallError {
        let error = error.without_url();
        if error.is_connect() || error.is_builder() {
            CallError::NotSent(error.into())
        } else if error.is_timeout() {
            CallError::TimedOut(self.timeouts.total)
        } else {
            CallError::Broken(error)
        }
    }
}

/// Status of the answer to a fetch of keys, or the class of the failure.
fn answer_to_fetch(fetched: Result<(), &FetchError>) -> Result<StatusCode, &'static str> {
    match fetched {
        Ok(()) | Err(FetchError::Unreadable(_)) => Ok(StatusCode::OK),
        Err(FetchError::Status(status)) => Ok(*status),
        Err(FetchError::TooLarge) => Err(CallError::TooLarge.error_type()),
        Err(FetchError::NoAnswer(error)) if error.is_connect() => Err("not_sent"),
        Err(FetchError::NoAnswer(error)) if error.is_timeout() => Err("timeout"),
        Err(FetchError::NoAnswer(_)) => Err("broken"),
    }
}

/// Credentials of the application in HTTP Basic authentication (RFC 7617).
pub(crate) fn basic(client_id: &str, client_secret: &Secret) -> String {
    let pair = STANDARD.encode(format!("{client_id}:{}", client_secret.expose()));
    format!("Basic {pair}")
}
