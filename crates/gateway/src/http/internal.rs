//! Internal API of the application's servers: publish events to users, list a user's connections, end its sessions.

mod batch;
mod body;
mod call;
mod drain;
mod error;
mod event;
mod publish;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
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
        .route(batch::ROUTE.path, post(batch::publish))
        .route(sessions::LIST.path, get(sessions::connections))
        .route(sessions::END.path, delete(sessions::end))
        .layer(from_fn_with_state(drain, drain::apply))
        .with_state(Arc::new(internal))
}

/// Checks the user of a request.
fn user_id(text: &str) -> Result<UserId, ApiError> {
    UserId::new(text)
        .map_err(|_invalid_id| ApiError::invalid("userId: 1 to 128 printable ASCII characters were expected"))
}

fn json_response(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = Response::new(Json::of(body).as_str().to_owned().into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
