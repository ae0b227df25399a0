//! HTTP client of the exporters: bounded in time and size, without redirects.

use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::Client;
use reqwest::redirect::Policy;

use super::error::ExporterError;
use super::settings::OtlpSettings;
use super::tls::OtlpTls;

/// HTTP client with the headers of each request. Its debug output leaves out the values of sensitive headers.
#[derive(Debug)]
pub(super) struct OtlpHttpClient {
    client: Client,
    headers: HeaderMap,
}

/// Response of a collector that is too large.
#[derive(Debug, thiserror::Error)]
#[error("a response of more than {MAX_RESPONSE} bytes")]
struct ResponseTooLarge;

impl OtlpHttpClient {
    pub(super) fn new(settings: &OtlpSettings) -> Result<Self, ExporterError> {
        let client = Client::builder()
            .tls_backend_preconfigured(OtlpTls::of_http(settings.tls.as_ref())?)
            .user_agent(concat!("Postern/", env!("CARGO_PKG_VERSION")))
            // A redirect would send the headers to an arbitrary host.
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(settings.timeout)
            .build()?;
        Ok(Self {
            client,
            headers: settings.headers.clone(),
        })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut request = reqwest::Request::try_from(request)?;
        request.headers_mut().extend(self.headers.clone());
        let mut response = self
            .client
            .execute(request)
            .await
            .map_err(reqwest::Error::without_url)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_RESPONSE {
                return Err(ResponseTooLarge.into());
            }
        }
        let mut received = Response::new(Bytes::from(body));
        *received.status_mut() = response.status();
        *received.headers_mut() = std::mem::take(response.headers_mut());
        Ok(received)
    }
}

#[async_trait]
impl HttpClient for OtlpHttpClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let response = self.send(request).await;
        if let Err(error) = &response {
            // The exporter only reports that there was an error.
            tracing::debug!(error = protocol::fault::chain(&**error), "OTLP request failed");
        }
        response
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Bound of a response, which has no more than an error's sentence.
const MAX_RESPONSE: usize = 65_536;
