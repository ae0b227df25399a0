//! The internal API: the application's own servers publish events to a user, see its connections and end its sessions.

mod event;
mod sessions;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::response::Response;
use axum::routing::{delete, get, post};
use bus::Bus;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use lifecycle::{Clock, Entropy};
use protocol::answer::Failure;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::{Job, Work};
use protocol::cluster::origin::Origin;
use protocol::cluster::trace::Traceparent;
use protocol::code::ErrorCode;
use protocol::event::Event;
use protocol::fault::{Fault, chain};
use protocol::id::{EventId, UserId};
use protocol::json::Json;
use protocol::secret::Secret;
use protocol::security::Alert;
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::routes::failed;
use crate::command::WorkerClient;
use crate::handshake::upgrade::{bearer, user_agent};
use crate::metrics::Metrics;
use crate::name;

/// What the internal API needs.
pub(crate) struct Internal {
    pub(crate) token: Secret,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) workers: Arc<WorkerClient>,
    /// How long a worker may take to raise an alert.
    pub(crate) job_timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) metrics: Arc<Metrics>,
}

/// The routes of the internal API.
pub(crate) fn router(internal: Internal) -> Router {
    Router::new()
        .route("/v1/users/{id}/events", post(publish))
        .route("/v1/users/{id}/connections", get(sessions::connections))
        .route("/v1/users/{id}/sessions", delete(sessions::end))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::new(internal))
}

/// `POST /v1/users/{id}/events`: 202 once the event has its place in the user's order, or, where it is an alert, is committed.
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
        Err(refusal) => refusal.response(),
    }
}

impl Internal {
    async fn publish(
        &self,
        user: &str,
        peer: Option<SocketAddr>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<EventId, Refusal> {
        self.authorize(headers)?;
        let user = named(user)?;
        let publication = event::Publication::read(body)?;
        let event_id = self.event_id(&user, publication.idempotency_key.as_deref());
        let event = publication.event(&user, &event_id, self.clock.now())?;
        let envelope = Envelope::of(event_id.clone(), &event);
        if envelope.data.as_str().len() > MAX_EVENT {
            return Err(Refusal::bad("data: at most 16 KiB were expected"));
        }
        let name = event.name();
        match event {
            Event::Alert(alert) => self.raise(alert, (origin(peer, headers), self.trace(headers))).await?,
            _ => self.send(&user, &envelope).await?,
        }
        self.metrics.published(name);
        Ok(event_id)
    }

    /// Straight to the user's log: what is lost with it can be read again at its source.
    async fn send(&self, user: &UserId, envelope: &Envelope) -> Result<(), Refusal> {
        self.bus.publish(user, envelope).await.map(drop).map_err(|error| {
            tracing::warn!(error = chain(&error), "an event could not be published");
            Refusal::Failed(error.code())
        })
    }

    /// An alert is kept before it is sent, and only a worker can keep it.
    async fn raise(&self, alert: Alert, (origin, traceparent): (Option<Origin>, Traceparent)) -> Result<(), Refusal> {
        let job = Job {
            v: Job::VERSION,
            id: name::job(&*self.entropy),
            user: alert.user_id.clone(),
            session: name::internal_api(),
            connection: name::connection(&*self.entropy),
            node: self.workers.node().clone(),
            origin,
            traceparent,
            idempotency_key: None,
            authenticated_at: None,
            work: Work::RaiseAlert(alert),
        };
        let raised = self.workers.ask(&job, self.job_timeout).await.map_err(|error| {
            tracing::warn!(error = chain(&error), "an alert could not be raised");
            Refusal::Failed(error.code())
        })?;
        match raised.map(|outcome| outcome.error) {
            Some(None) => Ok(()),
            // Nobody answered, or the worker does not know: it may have been raised.
            None | Some(Some(ErrorCode::Unavailable | ErrorCode::Timeout)) => {
                Err(Refusal::Failed(ErrorCode::Unavailable))
            }
            Some(Some(code)) => Err(Refusal::Failed(code)),
        }
    }

    /// The caller's own trace, if it has one (W3C Trace Context).
    fn trace(&self, headers: &HeaderMap) -> Traceparent {
        let given = headers.get("traceparent").and_then(|value| value.to_str().ok());
        let given = given.and_then(|text| text.parse().ok());
        given.unwrap_or_else(|| name::trace(&*self.entropy))
    }

    /// Compares digests, in constant time: neither the token's bytes nor its length show in how long a refusal takes.
    fn authorize(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let given = bearer(headers).ok_or(Refusal::Unauthorized)?;
        let digest = |secret: &Secret| Sha256::digest(secret.expose().as_bytes());
        if digest(&given).ct_eq(&digest(&self.token)).into() {
            Ok(())
        } else {
            Err(Refusal::Unauthorized)
        }
    }

    /// The same key of the same user is the same event; without a key every request is one of its own.
    fn event_id(&self, user: &UserId, idempotency_key: Option<&str>) -> EventId {
        match idempotency_key {
            // Ids hold no line break, so no two pairs of user and key are written alike.
            Some(key) => name::event_of(&Sha256::digest(format!("{user}\n{key}"))),
            None => name::event(&*self.entropy),
        }
    }
}

/// Which of the application's servers asks.
fn origin(peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<Origin> {
    peer.map(|peer| Origin::of_peer(peer.ip(), user_agent(headers)))
}

fn named(user: &str) -> Result<UserId, Refusal> {
    UserId::new(user).map_err(|_no_id| Refusal::bad("userId: 1 to 128 printable ASCII characters were expected"))
}

fn accepted(event_id: &EventId) -> Response {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Accepted<'a> {
        event_id: &'a EventId,
    }
    answer(StatusCode::ACCEPTED, &Accepted { event_id })
}

fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = Response::new(Json::of(body).as_str().to_owned().into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Why nothing was published, or is not known to be.
#[derive(Debug)]
enum Refusal {
    /// No bearer token, or another one.
    Unauthorized,
    /// The request cannot be read: the sentence names the field.
    Bad(String),
    /// The bus did not take it.
    Failed(ErrorCode),
}

impl Refusal {
    fn bad(sentence: impl Into<String>) -> Self {
        Self::Bad(sentence.into())
    }

    fn response(self) -> Response {
        match self {
            Self::Unauthorized => {
                let mut response = failed(StatusCode::UNAUTHORIZED, &Failure::of(ErrorCode::Unauthenticated));
                response
                    .headers_mut()
                    .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                response
            }
            Self::Bad(sentence) => failed(
                StatusCode::BAD_REQUEST,
                &Failure::with_message(ErrorCode::BadRequest, sentence),
            ),
            Self::Failed(ErrorCode::Unavailable) => {
                // The sentence of the code says that nothing was done, which is not known here.
                let failure = Failure::with_message(
                    ErrorCode::Unavailable,
                    "Not known to be published; repeat with the same key.",
                );
                let mut response = failed(StatusCode::SERVICE_UNAVAILABLE, &failure);
                response
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from_static("1"));
                response
            }
            Self::Failed(code) => failed(StatusCode::INTERNAL_SERVER_ERROR, &Failure::of(code)),
        }
    }
}

/// The longest request, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// The longest payload of an event, in bytes: a user's log holds 256 of them.
const MAX_EVENT: usize = 16 * 1024;
