//! The one HTTP client of this crate: no redirects, a bound on time and on size, and errors that say whether the
//! request left this machine.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Request, Response, StatusCode};
use protocol::secret::Secret;
use url::Url;

use crate::tls::system_tls;

/// Sends requests to platforms. A clone shares its connections.
#[derive(Debug, Clone)]
pub struct Http(Transport);

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

/// How long a platform may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until there is a connection, TLS included.
    pub connect: Duration,
    /// Until the whole answer is read.
    pub total: Duration,
}

impl Default for Timeouts {
    /// Two calls in a row, as a connect makes them (exchange, profile), end within the 10 s that its client waits.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            total: Duration::from_secs(4),
        }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// TLS cannot be set up.
    #[error("set up TLS for the platforms")]
    Tls(#[from] rustls::Error),
    /// The client cannot be set up.
    #[error("set up the HTTP client for the platforms")]
    Client(#[from] reqwest::Error),
}

/// Why a call brought no usable answer. No variant holds a URL, a header or a body: secrets travel in all three.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// There was no connection to send it on.
    #[error("the request was not sent")]
    NotSent(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Too slow.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection broke before the answer was whole.
    #[error("the connection broke")]
    Broken(#[source] reqwest::Error),
    /// Too big.
    #[error("the answer is larger than {MAX_ANSWER} bytes")]
    TooLarge,
    /// An answer, with a status that nothing follows from.
    #[error("the answer was status {0}")]
    Status(StatusCode),
    /// An answer whose body is not what the platform documents. The parser's own words could quote the body.
    #[error("the answer could not be read")]
    Unreadable,
}

/// The largest answer that is read. GitHub's pages of 50 notifications, the largest expected, are below half of it.
const MAX_ANSWER: usize = 1024 * 1024;

impl Http {
    /// A client that trusts what the system trusts.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn new(timeouts: Timeouts) -> Result<Self, BuildError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(system_tls("every platform")?)
            .user_agent(concat!("Postern/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry code or token to wherever it points (RFC 9700 section 4.12).
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.total)
            // A connection that idles longer may be closed by the platform just while a code is sent on it.
            .pool_idle_timeout(Duration::from_secs(20))
            .build()?;
        Ok(Self(Transport::Network(Network { client, timeouts })))
    }

    /// A client that sends nothing and takes its answers from a function: for tests of what answers may do.
    #[must_use]
    pub fn answering(script: impl Fn(&Request<Vec<u8>>) -> Response<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self(Transport::Scripted(Arc::new(script)))
    }

    /// Sends one request once, and reads the answer whole, whatever its status.
    pub(crate) async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, CallError> {
        match &self.0 {
            Transport::Network(network) => network.send(request).await,
            Transport::Scripted(script) => Ok(script(&request)),
        }
    }
}

impl Network {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, CallError> {
        let request = reqwest::Request::try_from(request).map_err(|error| self.judge(error))?;
        let mut answer = self.client.execute(request).await.map_err(|error| self.judge(error))?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.judge(error))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(CallError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = Response::new(body);
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }

    fn judge(&self, error: reqwest::Error) -> CallError {
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

/// The application's credentials (RFC 7617).
pub(crate) fn basic(client_id: &str, client_secret: &Secret) -> String {
    let pair = STANDARD.encode(format!("{client_id}:{}", client_secret.expose()));
    format!("Basic {pair}")
}

/// A URL below another.
pub(crate) fn below(url: &Url, segments: &[&str]) -> Url {
    let mut url = url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}
