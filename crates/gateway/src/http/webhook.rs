//! `/webhooks/{platform}`: webhook endpoint of the platforms. A worker, which has the secrets, knows whether the webhook is configured,
//! verifies the signature and determines the response.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode, Uri};
use protocol::account::AccountType;
use protocol::answer::Failure;
use protocol::cluster::job::Work;
use protocol::cluster::origin::Origin;
use protocol::cluster::webhook::{self, Webhook, WebhookAnswer, WebhookContent};
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::http_routes::WEBHOOK;
use protocol::secret::Secret;
use tokio::time::Instant;
use url::form_urlencoded;

use super::rates::CallRates;
use super::response::{failure_response, retry_after};
use crate::handshake::request::user_agent;
use crate::listener::client::Client;
use crate::metrics::Metrics;
use crate::trace::HttpRoute;
use crate::workers::{Requester, WorkerClient};

/// State of the webhook routes.
pub(crate) struct Webhooks {
    workers: Arc<WorkerClient>,
    /// Timeout of a job.
    job_timeout: Duration,
    rates: CallRates,
    metrics: Arc<Metrics>,
}

impl Webhooks {
    pub(crate) fn new(workers: Arc<WorkerClient>, job_timeout: Duration, metrics: Arc<Metrics>) -> Self {
        Self {
            workers,
            job_timeout,
            rates: CallRates::new(Instant::now()),
            metrics,
        }
    }
}

/// Returns the routes of the webhooks.
pub(super) fn router(webhooks: Webhooks) -> Router {
    Router::new()
        .route(DELIVERY.path, get(challenge).post(deliver))
        .with_state(Arc::new(webhooks))
}

/// `POST /webhooks/{platform}`: receives a delivery.
async fn deliver(
    State(webhooks): State<Arc<Webhooks>>,
    Path(platform): Path<String>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let response = async {
        let Ok(platform) = platform.parse() else {
            return refused(&Failure::of(ErrorCode::NotSupported));
        };
        let answer = webhooks.deliver(platform, (&client, &headers), body).await;
        webhooks.answer(platform, answer)
    };
    DELIVERY.serve_public(&headers, response).await
}

/// `GET /webhooks/{platform}?crc_token=`: answers the CRC challenge of X. Other platforms have no challenge.
async fn challenge(
    State(webhooks): State<Arc<Webhooks>>,
    Path(platform): Path<String>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let response = async {
        let Ok(AccountType::XTwitter) = platform.parse() else {
            return refused(&Failure::of(ErrorCode::NotSupported));
        };
        let query = uri.query().unwrap_or_default();
        let answer = webhooks.challenge((&client, &headers), query).await;
        webhooks.answer(AccountType::XTwitter, answer)
    };
    CHALLENGE.serve_public(&headers, response).await
}

impl Webhooks {
    async fn deliver(
        &self,
        account: AccountType,
        (client, headers): (&Client, &HeaderMap),
        body: Body,
    ) -> Result<WebhookAnswer, Failure> {
        self.rates.admit(client, account, Instant::now())?;
        let wanted = webhook::headers(account);
        let wanted_names = wanted.signature.iter().chain(wanted.others);
        let content = wanted_names.filter_map(|name| Some((*name, headers.get(*name)?.to_str().ok()?)));
        let content: BTreeMap<_, _> = content
            .map(|(name, value)| (name.to_owned(), Secret::new(value)))
            .collect();
        let is_signed = wanted.signature.iter().all(|name| content.contains_key(*name));
        // Only workers know whether the webhook is configured. Without a signature the body makes no difference.
        let body = if is_signed { body } else { Body::empty() };
        let body = to_bytes(body, MAX_BODY).await.map_err(|_too_long_or_late| {
            Failure::with_message(ErrorCode::BadRequest, "The body is too long, or took too long.")
        })?;
        let content = WebhookContent::Delivery {
            headers: content,
            body: Secret::new(STANDARD.encode(&body)),
        };
        self.request(
            Webhook { account, content },
            Origin::of_peer(client.address(), user_agent(headers)),
        )
        .await
    }

    async fn challenge(&self, (client, headers): (&Client, &HeaderMap), query: &str) -> Result<WebhookAnswer, Failure> {
        let account = AccountType::XTwitter;
        self.rates.admit(client, account, Instant::now())?;
        let token = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "crc_token");
        // Without a token it is refused by the worker too, which knows whether the webhook is configured.
        let token = token.map_or_else(String::new, |(_, token)| token.into_owned());
        let content = WebhookContent::Challenge(Secret::new(token));
        self.request(
            Webhook { account, content },
            Origin::of_peer(client.address(), user_agent(headers)),
        )
        .await
    }

    /// Requests the job of a webhook and returns the response.
    async fn request(&self, webhook: Webhook, origin: Origin) -> Result<WebhookAnswer, Failure> {
        let requester = Requester::webhook(origin);
        let outcome = self
            .workers
            .request(requester, Work::Webhook(webhook), self.job_timeout)
            .await;
        let outcome = outcome.map_err(|error| Failure::of(error.code()))?;
        let outcome = outcome.ok_or_else(|| Failure::of(ErrorCode::Timeout))?;
        match outcome.error {
            // A worker of another release may have encoded it differently.
            None => outcome
                .data
                .read()
                .map_err(|_unreadable| Failure::of(ErrorCode::Internal)),
            Some(code) => Err(outcome.data.read().unwrap_or_else(|_unreadable| Failure::of(code))),
        }
    }

    fn answer(&self, platform: AccountType, answer: Result<WebhookAnswer, Failure>) -> Response {
        self.metrics
            .webhook(platform, answer.as_ref().err().map(|failure| failure.error));
        match answer {
            Ok(answer) => accepted(&answer),
            Err(failure) => refused(&failure),
        }
    }
}

fn accepted(answer: &WebhookAnswer) -> Response {
    let body = answer
        .body
        .as_ref()
        .map_or_else(String::new, |body| body.as_str().to_owned());
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Discord requires it even without a body.
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Returns the response of a failed webhook. Platforms retry after 5xx and 429 only.
fn refused(failure: &Failure) -> Response {
    let status = match failure.error {
        ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
        ErrorCode::NotSupported => StatusCode::NOT_FOUND,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = failure_response(status, failure);
    if let Some(seconds) = retry_after(status, failure) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Route of [`deliver`].
const DELIVERY: HttpRoute = HttpRoute {
    method: "POST",
    path: WEBHOOK,
};

/// Route of [`challenge`].
const CHALLENGE: HttpRoute = HttpRoute {
    method: "GET",
    ..DELIVERY
};

/// Maximum size of the body, in bytes. GitHub's largest comment has 64 KiB, plus about 30 KiB of context.
const MAX_BODY: usize = 256 * 1024;
