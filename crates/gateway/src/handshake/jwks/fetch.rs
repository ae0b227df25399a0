//! HTTP request for the key set: no redirects, bounded time and size, only status 200.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use reqwest::Client;
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use url::Url;

use super::key_set::{InvalidKeySet, KeySet};
use crate::settings::JwksUrl;

/// HTTP client for one key set.
#[derive(Debug)]
pub(super) struct JwksClient {
    client: Client,
    url: Url,
}

/// Error of building the JWKS client.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// TLS configuration was rejected.
    #[error("configure TLS for the JWKS client")]
    Tls(#[from] rustls::Error),
    /// HTTP client was rejected.
    #[error("build the HTTP client of the JWKS client")]
    Client(#[from] reqwest::Error),
}

/// Error of one fetch.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// Connection failed, or the response was not complete in time.
    #[error("request the key set")]
    NoAnswer(#[source] reqwest::Error),
    /// Status other than 200, redirects included.
    #[error("the issuer answered with status {0}")]
    Status(StatusCode),
    /// Response body over the size bound.
    #[error("the key set is larger than {MAX_BODY} bytes")]
    TooLarge,
    /// Response body that is not a key set.
    #[error(transparent)]
    Invalid(#[from] InvalidKeySet),
}

impl FetchError {
    /// Returns the metric label.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::NoAnswer(_) => "no_answer",
            Self::Status(_) => "status",
            Self::TooLarge => "too_large",
            Self::Invalid(_) => "unreadable",
        }
    }
}

impl JwksClient {
    /// Builds the client without connecting.
    pub(super) fn new(url: &JwksUrl, timeout: Duration) -> Result<Self, JwksError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls_config()?)
            .user_agent(concat!("Postern/", env!("CARGO_PKG_VERSION")))
            // Only the configured URL is trusted: keys behind a redirect are not.
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .timeout(timeout)
            // Fetches are minutes apart, so keeping an idle connection has no benefit.
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self { client, url: url.url() })
    }

    /// Fetches and parses the key set once.
    pub(super) async fn fetch(&self) -> Result<KeySet, FetchError> {
        let mut answer = self.client.get(self.url.clone()).send().await.map_err(no_answer)?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(no_answer)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(KeySet::parse(&body)?)
    }
}

fn no_answer(error: reqwest::Error) -> FetchError {
    FetchError::NoAnswer(error.without_url())
}

/// Returns rustls' default TLS versions with the ring provider and the system's trust roots.
fn tls_config() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let (trusted, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if trusted == 0 {
        tracing::warn!("system trust store is empty, jwks fetches from https URLs will fail");
    }
    let provider = Arc::new(ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

/// Maximum size of a key set, in bytes. It fits several hundred keys; issuers publish two or three.
const MAX_BODY: usize = 256 * 1024;
