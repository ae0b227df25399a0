//! One fetch: no redirects, a bound on time and on size, one status that counts.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use reqwest::Client;
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use url::Url;

use super::address::JwksUrl;
use super::set::{KeySet, Unreadable};

/// Who publishes the keys.
#[derive(Debug)]
pub(super) struct Issuer {
    client: Client,
    url: Url,
}

/// Why no issuer can be asked.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// TLS cannot be set up.
    #[error("set up TLS to the issuer of keys")]
    Tls(#[from] rustls::Error),
    /// The client cannot be set up.
    #[error("set up the HTTP client for the issuer of keys")]
    Client(#[from] reqwest::Error),
}

/// Why a fetch brought no keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// No connection, or no whole answer in time.
    #[error("the issuer did not answer")]
    NoAnswer(#[source] reqwest::Error),
    /// An answer that is not 200; a redirect is one of them.
    #[error("the issuer answered with status {0}")]
    Status(StatusCode),
    /// Too big.
    #[error("the issuer's answer is larger than {MAX_ANSWER} bytes")]
    TooLarge,
    /// No key set.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl FetchError {
    /// The metric label.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::NoAnswer(_) => "no_answer",
            Self::Status(_) => "status",
            Self::TooLarge => "too_large",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

impl Issuer {
    /// Sets up the client; sends nothing.
    pub(super) fn new(url: &JwksUrl, within: Duration) -> Result<Self, JwksError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls()?)
            .user_agent(concat!("Postern/", env!("CARGO_PKG_VERSION")))
            // Wherever a redirect points, nobody has said that its keys are to be believed.
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .timeout(within)
            // Fetches are minutes apart: no connection is worth keeping.
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self { client, url: url.url() })
    }

    /// Asks once.
    pub(super) async fn fetch(&self) -> Result<KeySet, FetchError> {
        let mut answer = self.client.get(self.url.clone()).send().await.map_err(no_answer)?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(no_answer)? {
            if body.len() + chunk.len() > MAX_ANSWER {
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

/// TLS as rustls has it by default, with ring, and the system's trust roots.
fn tls() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let (trusted, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if trusted == 0 {
        tracing::warn!("the system trusts no certificate authority: an issuer on https will be refused");
    }
    let provider = Arc::new(ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

/// The largest key set that is read: several hundred keys, where issuers publish two or three.
const MAX_ANSWER: usize = 256 * 1024;
