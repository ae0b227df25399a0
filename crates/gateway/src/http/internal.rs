//! Internal API of the application's servers: publish events to users, list a user's connections, end its sessions.

mod batch;
mod call;
mod drain;
mod error;
mod event;
mod publish;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{delete, get, post};
use bus::{Events, Presence};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use lifecycle::{Clock, Entropy, Reloadable};
use protocol::id::UserId;
use protocol::json::Json;
use serde::Serialize;

pub(crate) use self::drain::ApiDrain;

use self::error::ApiError;
use crate::bus_outage::BusOutage;
use crate::listener::internal_tls::InternalTls;
use crate::metrics::{InternalRefusal, Metrics};
use crate::rate::LogLimits;
use crate::settings::InternalCallers;
use crate::workers::WorkerClient;

/// Internal API of a gateway, for the listener that serves it.
#[derive(Clone)]
pub struct InternalApi {
    /// Routes.
    pub router: Router,
    /// TLS; `None` is plain HTTP.
    pub tls: Option<InternalTls>,
}

/// State of the internal API.
pub(crate) struct Internal {
    pub(crate) callers: Reloadable<InternalCallers>,
    pub(crate) refusal_log: LogLimits<InternalRefusal>,
    pub(crate) events: Arc<dyn Events>,
    pub(crate) presence: Arc<dyn Presence>,
    pub(crate) outage: Arc<BusOutage>,
    pub(crate) workers: Arc<WorkerClient>,
    /// Scheme of the requests.
    pub(crate) scheme: &'static str,
    /// Timeout of a job.
    pub(crate) job_timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Returns the routes of the internal API, which `drain` closes.
pub(crate) fn router(internal: Internal, drain: ApiDrain) -> Router {
    Router::new()
        .route(publish::ROUTE.path, post(publish::publish))
        .route(
            batch::ROUTE.path,
            post(batch::publish).layer(DefaultBodyLimit::max(MAX_BATCH_BODY)),
        )
        .route(sessions::LIST.path, get(sessions::connections))
        .route(sessions::END.path, delete(sessions::end))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(error::describe))
        .layer(from_fn_with_state(drain, drain::apply))
        .with_state(Arc::new(internal))
}

/// Checks the user of a request.
fn user_id(text: &str) -> Result<UserId, ApiError> {
    UserId::new(text)
        .map_err(|_invalid_id| ApiError::invalid("userId: 1 to 128 printable ASCII characters were expected"))
}

/// Maximum size of a request body on a path, in bytes.
fn max_body(path: &str) -> usize {
    if path == batch::ROUTE.path {
        MAX_BATCH_BODY
    } else {
        MAX_BODY
    }
}

fn json_response(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = Response::new(Json::of(body).as_str().to_owned().into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Maximum size of a request body, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// Maximum size of a batch of events, in bytes.
const MAX_BATCH_BODY: usize = 1024 * 1024;
