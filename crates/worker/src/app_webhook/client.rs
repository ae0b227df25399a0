//! HTTP client for the receiver of webhooks: no redirects, and bounds on time and on the response.

use std::fmt;
use std::time::Duration;

use platforms::retry_after;
use protocol::time::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, StatusCode};
use tokio::time::timeout;

use super::settings::AppWebhookSettings;
use crate::http_client;

/// Failure to set up the client.
#[derive(Debug, thiserror::Error)]
pub enum AppWebhookClientError {
    /// TLS cannot be set up.
    #[error("set up TLS for webhooks to the application")]
    Tls(#[from] rustls::Error),
    /// The client cannot be set up.
    #[error("set up the HTTP client for webhooks to the application")]
    Client(#[from] reqwest::Error),
}

/// Webhook that the receiver has not accepted, as far as known. Its text repeats nothing of the response.
#[derive(Debug, thiserror::Error)]
pub enum AppWebhookSendError {
    /// No connection, or no response.
    #[error("the receiver could not be reached")]
    Unreached(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No response in time.
    #[error("the receiver did not answer within {0:?}")]
    Late(Duration),
    /// Another status than 2xx.
    #[error("the receiver answered with status {status}")]
    Refused {
        /// Status.
        status: u16,
        /// Wait that the response asks for.
        retry_after: Option<Duration>,
    },
}

impl AppWebhookSendError {
    /// True if the receiver wants no more webhooks (410 Gone): then this one is not tried again.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::GONE.as_u16())
    }

    /// Wait that the receiver asks for.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Unreached(_) | Self::Late(_) => None,
        }
    }

    /// True if the receiver is overloaded or away, false if it refused this webhook.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Unreached(_) | Self::Late(_) => true,
            Self::Refused { status, .. } => *status >= 500 || *status == StatusCode::TOO_MANY_REQUESTS.as_u16(),
        }
    }
}

/// Client for the receiver of webhooks. Clones share their connections.
#[derive(Clone)]
pub struct AppWebhookClient {
    client: Client,
    settings: AppWebhookSettings,
}

impl AppWebhookClient {
    /// Creates a client that trusts the system's certificates; connects only to send.
    ///
    /// # Errors
    /// [`AppWebhookClientError`].
    pub fn new(settings: AppWebhookSettings) -> Result<Self, AppWebhookClientError> {
        let client = http_client::builder("the application's receiver of webhooks", CONNECT_TIMEOUT)?.build()?;
        Ok(Self { client, settings })
    }

    /// Time after which a webhook counts as not accepted.
    pub(super) fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// Sends a webhook, signed at this time by all secrets.
    ///
    /// # Errors
    /// [`AppWebhookSendError`].
    pub async fn send(&self, id: &str, body: String, sent_at: Timestamp) -> Result<(), AppWebhookSendError> {
        let AppWebhookSettings {
            url,
            secrets,
            timeout: limit,
        } = &self.settings;
        let signatures = secrets.get().sign(id, sent_at, &body);
        let request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("webhook-id", id)
            .header("webhook-timestamp", sent_at.as_secs())
            .header("webhook-signature", signatures)
            .body(body);
        let unreached = |error: reqwest::Error| AppWebhookSendError::Unreached(error.without_url().into());
        let response = match timeout(*limit, request.send()).await {
            Ok(response) => response.map_err(unreached)?,
            Err(_elapsed) => return Err(AppWebhookSendError::Late(*limit)),
        };
        let status = response.status();
        let retry_after = retry_after(response.headers());
        discard_body(response).await;
        if status.is_success() {
            return Ok(());
        }
        Err(AppWebhookSendError::Refused {
            status: status.as_u16(),
            retry_after,
        })
    }
}

impl fmt::Debug for AppWebhookClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AppWebhookClient").field(&self.settings).finish()
    }
}

/// Reads the body of a response, so that its connection can be used again. A long or slow one is left, and its connection closed.
async fn discard_body(mut response: Response) {
    let mut left = MAX_BODY;
    let read = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            let Some(rest) = left.checked_sub(chunk.len()) else {
                return;
            };
            left = rest;
        }
    };
    let _read = timeout(BODY_TIMEOUT, read).await;
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Most bytes of a response's body that are read.
const MAX_BODY: usize = 16 * 1024;

/// Longest read of a response's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);
