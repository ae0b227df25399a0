//! `postern publish`: publication of an event through the internal API of a gateway.

mod tls;

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::HeaderValue;
use protocol::json::Json;

use crate::cli::PublishArgs;
use crate::config::ConfigError;
use crate::dev::{Identity, IdentityError, dir, ready};
use crate::event_request::{PublishedEvent, event_request};
use crate::http1;

pub use self::tls::TlsClientError;

/// Failed publication; the event may have been published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// `--data` is not JSON.
    #[error("--data is not JSON")]
    Data(#[source] serde_json::Error),
    /// No gateway was given or found.
    #[error("name a gateway with --server http://host:port, or start `postern dev` first")]
    NoServer,
    /// Invalid address of the gateway.
    #[error("--server must be http://host:port or https://host:port")]
    Server,
    /// TLS could not be set up.
    #[error("set up TLS")]
    Tls(#[from] TlsClientError),
    /// Invalid settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No bearer token was given or found.
    #[error("set POSTERN_INTERNAL_TOKEN, or start `postern dev` first")]
    NoToken(#[source] IdentityError),
    /// The token is not valid in a header.
    #[error("POSTERN_INTERNAL_TOKEN cannot be sent in a header")]
    Token,
    /// The request failed.
    #[error("send the event to {server}")]
    Request {
        /// Address of the gateway.
        server: String,
        /// Cause.
        #[source]
        source: http1::RequestError,
    },
    /// The gateway refused the event.
    #[error("the gateway responded {status}: {body}")]
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// Body of the response.
        body: String,
    },
}

/// Publishes an event and returns the gateway's response: `{"eventId": ...}`.
///
/// # Errors
/// [`PublishError`].
pub(crate) async fn publish(args: &PublishArgs) -> Result<String, PublishError> {
    let identity = Identity::existing(&dir::resolve(&args.dir));
    let server = args
        .api
        .server
        .clone()
        .or_else(|| ready::first_internal(&identity.ready_file()))
        .ok_or(PublishError::NoServer)?;
    let token = match args.api.internal_token()? {
        Some(token) if args.dir.dir.is_none() => token,
        _ => identity.internal_token().map_err(PublishError::NoToken)?,
    };
    let data = Json::parse(args.data.clone()).map_err(PublishError::Data)?;
    let event = PublishedEvent {
        event: &args.event,
        data: &data,
        idempotency_key: args.idempotency_key.as_deref(),
    };
    let (scheme, authority) = server.split_once("://").ok_or(PublishError::Server)?;
    let authority = authority.trim_end_matches('/');
    let tls = match scheme {
        "http" => None,
        "https" => Some(tls::client(&args.api.tls)?),
        _ => return Err(PublishError::Server),
    };
    let bearer =
        HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_repeats_it| PublishError::Token)?;
    let request = event_request(authority, &args.user, bearer, &event).map_err(|_invalid| PublishError::Server)?;
    let sent = async {
        match tls {
            Some(tls) => http1::send_tls(authority, tls, request).await,
            None => http1::send(authority, request).await,
        }
    };
    let outcome = tokio::time::timeout(TIMEOUT, Box::pin(sent)).await;
    let (status, body) = outcome
        .unwrap_or_else(|late| Err(late.into()))
        .map_err(|source| PublishError::Request {
            server: server.clone(),
            source,
        })?;
    if status == StatusCode::ACCEPTED {
        Ok(body)
    } else {
        Err(PublishError::Refused { status, body })
    }
}

/// Timeout, above the time that a gateway waits for a worker.
const TIMEOUT: Duration = Duration::from_secs(15);
