//! HTTP client of one key set: no redirects, bounds on time and size, and 200 as the only status that counts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode, header};
use reqwest::Client;
use reqwest::redirect::Policy;
use telemetry::trace;
use tokio::time::Instant;
use tracing::Instrument;
use url::Url;

use crate::key_set::{KeySet, NoKeySet};
use crate::metrics::FetchOutcome;
use crate::tls::system_tls;
use crate::trace::{fetch_span, record_status};
use crate::url::JwksUrl;

/// Fetches the key set of one issuer.
#[derive(Debug)]
pub struct JwksClient {
    transport: Transport,
    url: Url,
    observer: Option<FetchObserver>,
}

/// Function that receives the duration and the outcome of each fetch.
struct FetchObserver(Box<Observe>);

type Observe = dyn Fn(Duration, Result<(), &FetchError>) + Send + Sync;

impl fmt::Debug for FetchObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchObserver").finish_non_exhaustive()
    }
}

enum Transport {
    Network(Client),
    Scripted(Arc<Script>),
}

type Script = dyn Fn(&Request<Vec<u8>>) -> Response<Vec<u8>> + Send + Sync;

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(client) => client.fmt(f),
            Self::Scripted(_) => f.write_str("Scripted"),
        }
    }
}

/// Cause of a client that could not be built.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// The TLS configuration was rejected.
    #[error("set up TLS to the issuer of keys")]
    Tls(#[from] rustls::Error),
    /// The HTTP client was rejected.
    #[error("set up the HTTP client for the issuer of keys")]
    Client(#[from] reqwest::Error),
}

/// Cause of a fetch without a key set. No variant contains the answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No connection, or no complete answer in time.
    #[error("the issuer did not answer")]
    NoAnswer(#[source] reqwest::Error),
    /// A status other than 200; a redirect is one of them.
    #[error("the issuer answered with status {0}")]
    Status(StatusCode),
    /// The answer exceeded [`MAX_ANSWER_SIZE`].
    #[error("the issuer's answer is larger than {MAX_ANSWER_SIZE} bytes")]
    TooLarge,
    /// The answer is no key set.
    #[error(transparent)]
    Unreadable(#[from] NoKeySet),
}

impl FetchError {
    /// Outcome in the metrics of fetches.
    pub(crate) fn outcome(&self) -> FetchOutcome {
        match self {
            Self::NoAnswer(_) => FetchOutcome::NoAnswer,
            Self::Status(_) => FetchOutcome::Status,
            Self::TooLarge => FetchOutcome::TooLarge,
            Self::Unreadable(_) => FetchOutcome::Unreadable,
        }
    }
}

impl JwksClient {
    /// Client with a connection of its own for each fetch, bounded by `timeout`. It sends nothing yet.
    ///
    /// # Errors
    /// [`JwksError`].
    pub fn new(url: &JwksUrl, timeout: Duration) -> Result<Self, JwksError> {
        let client = Client::builder()
            .tls_backend_preconfigured(system_tls("an issuer")?)
            .user_agent(concat!("Postern/", env!("CARGO_PKG_VERSION")))
            // A redirect would replace the configured issuer by another host.
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .timeout(timeout)
            // Fetches are minutes apart: no connection is worth keeping.
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self::with_client(client, url.to_url()))
    }

    /// Client over an HTTP client that follows no redirects and has a timeout.
    #[must_use]
    pub fn with_client(client: Client, url: Url) -> Self {
        Self {
            transport: Transport::Network(client),
            url,
            observer: None,
        }
    }

    /// Client that sends nothing and takes its answers from a function: for tests of answers.
    #[must_use]
    pub fn scripted(script: Arc<Script>, url: Url) -> Self {
        Self {
            transport: Transport::Scripted(script),
            url,
            observer: None,
        }
    }

    /// Calls `observer` after each fetch, with its duration and its outcome.
    #[must_use]
    pub fn observed(self, observer: impl Fn(Duration, Result<(), &FetchError>) + Send + Sync + 'static) -> Self {
        Self {
            observer: Some(FetchObserver(Box::new(observer))),
            ..self
        }
    }

    /// Fetches the key set once.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn fetch(&self) -> Result<KeySet, FetchError> {
        let started = Instant::now();
        let body = match &self.transport {
            Transport::Network(client) => {
                let span = fetch_span(&self.url);
                let fetched = self.get(client).instrument(span.clone()).await;
                fetched.inspect_err(|error| trace::failed(&span, error.outcome().label(), error))
            }
            Transport::Scripted(script) => self.replay(&**script),
        };
        if let Some(FetchObserver(observer)) = &self.observer {
            observer(started.elapsed(), body.as_ref().map(|_body| ()));
        }
        Ok(KeySet::parse(&body?)?)
    }

    async fn get(&self, client: &Client) -> Result<Vec<u8>, FetchError> {
        let request = client.get(self.url.clone()).header(header::ACCEPT, "application/json");
        let mut answer = request.send().await.map_err(no_answer)?;
        record_status(answer.status().as_u16());
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(no_answer)? {
            if body.len() + chunk.len() > MAX_ANSWER_SIZE {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn replay(&self, script: &Script) -> Result<Vec<u8>, FetchError> {
        let mut request = Request::new(Vec::new());
        // A URL that is no URI is left out: the script sees the path `/`.
        if let Ok(uri) = self.url.as_str().parse() {
            *request.uri_mut() = uri;
        }
        let answer = script(&request);
        match answer.status() {
            StatusCode::OK if answer.body().len() > MAX_ANSWER_SIZE => Err(FetchError::TooLarge),
            StatusCode::OK => Ok(answer.into_body()),
            status => Err(FetchError::Status(status)),
        }
    }
}

fn no_answer(error: reqwest::Error) -> FetchError {
    FetchError::NoAnswer(error.without_url())
}

/// Largest key set that is read: several hundred keys, where issuers publish two or three.
const MAX_ANSWER_SIZE: usize = 256 * 1024;
