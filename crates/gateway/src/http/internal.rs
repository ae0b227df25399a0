//! Internal API of the application's servers: publish events to a user, list its connections, end its sessions.

mod drain;
mod event;
mod sessions;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{delete, get, post};
use bus::{Events, Presence};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use lifecycle::{Clock, Entropy};
use protocol::answer::Failure;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::Work;
use protocol::cluster::origin::Origin;
use protocol::cluster::trace::Traceparent;
use protocol::code::ErrorCode;
use protocol::event::Event;
use protocol::fault::Fault;
use protocol::id::{EventId, UserId};
use protocol::json::Json;
use protocol::secret::Secret;
use protocol::security::Alert;
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub(crate) use self::drain::ApiDrain;

use super::response::failure_response;
use crate::bus_outage::BusOutage;
use crate::handshake::request::{bearer, user_agent};
use crate::ids;
use crate::metrics::Metrics;
use crate::workers::{Requester, WorkerClient};

/// State of the internal API.
pub(crate) struct Internal {
    pub(crate) token: Secret,
    pub(crate) events: Arc<dyn Events>,
    pub(crate) presence: Arc<dyn Presence>,
    pub(crate) outage: Arc<BusOutage>,
    pub(crate) workers: Arc<WorkerClient>,
    /// Timeout of a job.
    pub(crate) job_timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Returns the routes of the internal API, which `drain` closes.
pub(crate) fn router(internal: Internal, drain: ApiDrain) -> Router {
    Router::new()
        .route("/v1/users/{id}/events", post(publish))
        .route("/v1/users/{id}/connections", get(sessions::connections))
        .route("/v1/users/{id}/sessions", delete(sessions::end))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(drain, drain::apply))
        .with_state(Arc::new(internal))
}

/// `POST /v1/users/{id}/events`: 202 once the event has an offset in the user's event log, or, for an alert, is committed.
async fn publish(
    State(internal): State<Arc<Internal>>,
    Path(user): Path<String>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let peer = peer.map(|Extension(ConnectInfo(peer))| peer);
    match internal.publish(&user, peer, &headers, &body).await {
        Ok(event_id) => accepted(&event_id),
        Err(error) => error.response(),
    }
}

impl Internal {
    async fn publish(
        &self,
        user: &str,
        peer: Option<SocketAddr>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<EventId, ApiError> {
        self.authorize(headers)?;
        let user = parse_user(user)?;
        let publication = event::Publication::read(body)?;
        let event_id = self.event_id(&user, publication.idempotency_key.as_deref());
        let event = publication.event(&user, &event_id, self.clock.now())?;
        let envelope = Envelope::of(event_id.clone(), &event);
        if envelope.data.as_str().len() > MAX_EVENT {
            return Err(ApiError::invalid("data: at most 16 KiB were expected"));
        }
        let name = event.name();
        match event {
            Event::Alert(alert) => self.raise(alert, (origin(peer, headers), self.trace(headers))).await?,
            _ => self.send(&user, &envelope).await?,
        }
        self.metrics.published(name);
        Ok(event_id)
    }

    /// Publishes an event directly to the user's event log. If the log is lost, clients reload the state from its source.
    async fn send(&self, user: &UserId, envelope: &Envelope) -> Result<(), ApiError> {
        let published = self.events.publish(user, envelope).await;
        let published = self.outage.record("event publish", published);
        published.map(drop).map_err(|error| ApiError::Failed(error.code()))
    }

    /// Has a worker commit an alert, which is stored before it is published.
    async fn raise(&self, alert: Alert, (origin, traceparent): (Option<Origin>, Traceparent)) -> Result<(), ApiError> {
        let requester = Requester::internal_api(alert.user_id.clone(), origin, traceparent);
        let raised = self
            .workers
            .request(requester, Work::RaiseAlert(alert), self.job_timeout)
            .await;
        let raised = raised.map_err(|error| ApiError::Failed(error.code()))?;
        match raised.map(|outcome| outcome.error) {
            Some(None) => Ok(()),
            // The outcome is unknown: the alert may have been committed.
            None | Some(Some(ErrorCode::Unavailable | ErrorCode::Timeout)) => {
                Err(ApiError::Failed(ErrorCode::Unavailable))
            }
            Some(Some(code)) => Err(ApiError::Failed(code)),
        }
    }

    /// Returns the trace context of the request (W3C Trace Context), or a new one.
    fn trace(&self, headers: &HeaderMap) -> Traceparent {
        let parent = headers.get("traceparent").and_then(|value| value.to_str().ok());
        let parent = parent.and_then(|text| text.parse().ok());
        parent.unwrap_or_else(|| ids::trace(&*self.entropy))
    }

    /// Checks the bearer token. Digests are compared in constant time, so the duration of a refusal reveals neither the token nor its
    /// length.
    fn authorize(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let presented = bearer(headers).ok_or(ApiError::Unauthorized)?;
        let digest = |secret: &Secret| Sha256::digest(secret.expose().as_bytes());
        if digest(&presented).ct_eq(&digest(&self.token)).into() {
            Ok(())
        } else {
            Err(ApiError::Unauthorized)
        }
    }

    /// Returns the id of an event. Requests of one user with the same idempotency key have the same id.
    fn event_id(&self, user: &UserId, idempotency_key: Option<&str>) -> EventId {
        match idempotency_key {
            // User ids contain no line break, so the digested text is unique per user and key.
            Some(key) => ids::event_of(&Sha256::digest(format!("{user}\n{key}"))),
            None => ids::event(&*self.entropy),
        }
    }
}

/// Returns the origin of the requesting server.
fn origin(peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<Origin> {
    peer.map(|peer| Origin::of_peer(peer.ip(), user_agent(headers)))
}

fn parse_user(user: &str) -> Result<UserId, ApiError> {
    UserId::new(user)
        .map_err(|_invalid_id| ApiError::invalid("userId: 1 to 128 printable ASCII characters were expected"))
}

fn accepted(event_id: &EventId) -> Response {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct AcceptedEvent<'a> {
        event_id: &'a EventId,
    }
    json_response(StatusCode::ACCEPTED, &AcceptedEvent { event_id })
}

fn json_response(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = Response::new(Json::of(body).as_str().to_owned().into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Error of a request to the internal API.
#[derive(Debug)]
enum ApiError {
    /// Missing or wrong bearer token.
    Unauthorized,
    /// Invalid request; the message names the field.
    Invalid(String),
    /// Bus or worker failure.
    Failed(ErrorCode),
}

impl ApiError {
    fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    fn response(self) -> Response {
        match self {
            Self::Unauthorized => {
                let mut response = failure_response(StatusCode::UNAUTHORIZED, &Failure::of(ErrorCode::Unauthenticated));
                response
                    .headers_mut()
                    .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                response
            }
            Self::Invalid(message) => failure_response(
                StatusCode::BAD_REQUEST,
                &Failure::with_message(ErrorCode::BadRequest, message),
            ),
            Self::Failed(ErrorCode::Unavailable) => {
                // The default message of the code says that nothing was done, which is not known here.
                let failure = Failure::with_message(
                    ErrorCode::Unavailable,
                    "Not known to be published; repeat with the same key.",
                );
                let mut response = failure_response(StatusCode::SERVICE_UNAVAILABLE, &failure);
                response
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from_static("1"));
                response
            }
            Self::Failed(code) => failure_response(StatusCode::INTERNAL_SERVER_ERROR, &Failure::of(code)),
        }
    }
}

/// Maximum size of a request body, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// Maximum size of an event payload, in bytes. The event log keeps up to 256 events per user.
const MAX_EVENT: usize = 16 * 1024;
