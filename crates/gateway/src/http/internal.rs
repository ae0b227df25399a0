//! Internal API of the application's servers: publish events to users, read and change what Postern has about a user.

mod alert;
mod append;
mod authorize;
mod batch;
mod body;
mod budget;
mod call;
mod drain;
mod error;
mod event;
mod publish;
mod route;
mod sessions;
mod user;
mod work;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bus::{Events, Presence};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, StatusCode};
use lifecycle::{Clock, Entropy, KeyedLocks, Reloadable};
use protocol::api::table::Operation;
use protocol::api::{AccountList, DeviceList, RevokeAllAnswer, SecondFactor, SessionList, UserSettings};
use protocol::cluster::api_request::ApiRequest;
use protocol::id::UserId;
use protocol::json::Json;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::append::RestoreRequests;
pub(crate) use self::budget::CallerBudgets;
pub(crate) use self::drain::ApiDrain;

use self::call::{Call, RequestHead};
use self::error::ApiError;
use crate::bus_outage::BusOutage;
use crate::listener::internal_tls::InternalTls;
use crate::metrics::{InternalRefusal, Metrics};
use crate::rate::LogLimits;
use crate::settings::InternalCallers;
use crate::workers::WorkerClient;

/// Internal API of a gateway, for the listener that serves it. Clones share its state.
#[derive(Clone)]
pub struct InternalApi {
    internal: Arc<Internal>,
    drain: ApiDrain,
    /// TLS; `None` is plain HTTP.
    pub tls: Option<InternalTls>,
}

impl InternalApi {
    /// Internal API, which `drain` closes.
    pub(crate) fn new(internal: Internal, drain: ApiDrain, tls: Option<InternalTls>) -> Self {
        Self {
            internal: Arc::new(internal),
            drain,
            tls,
        }
    }

    /// Responds to a request. `peer` is the address of the calling server, if it is known.
    pub async fn respond(&self, peer: Option<SocketAddr>, request: Request<Body>) -> Response {
        let response = pin!(self.internal.serve(peer, request));
        self.drain.apply(response).await
    }
}

/// State of the internal API.
pub(crate) struct Internal {
    pub(crate) callers: Reloadable<InternalCallers>,
    pub(crate) budgets: CallerBudgets,
    pub(crate) refusal_log: LogLimits<InternalRefusal>,
    pub(crate) events: Arc<dyn Events>,
    pub(crate) presence: Arc<dyn Presence>,
    pub(crate) outage: Arc<BusOutage>,
    pub(crate) workers: Arc<WorkerClient>,
    pub(crate) restores: RestoreRequests,
    /// Alerts of each user that are with the workers.
    pub(crate) alerts: KeyedLocks<UserId>,
    /// Scheme of the requests.
    pub(crate) scheme: &'static str,
    /// Timeout of a job.
    pub(crate) job_timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Internal {
    /// Authorizes and serves a request by its route.
    async fn serve(&self, peer: Option<SocketAddr>, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let head = RequestHead { peer, parts: &parts };
        let found = route::find(&parts.method, parts.uri.path());
        let served = match found.and_then(|found| self.authorize(found, head)) {
            Ok(call) => self.dispatch(&call, body).await,
            Err(error) => Err(error),
        };
        served.unwrap_or_else(IntoResponse::into_response)
    }

    /// Runs the operation of a call. All but the publish are boxed, as they are rare: inline, they would be in the future of every publish.
    async fn dispatch(&self, call: &Call<'_>, body: Body) -> Result<Response, ApiError> {
        match call.route.operation {
            Operation::PublishEvent => publish::publish(self, call, body).await,
            Operation::PublishEvents => Box::pin(batch::publish(self, call, body)).await,
            Operation::ListConnections => Box::pin(sessions::connections(self, call)).await,
            Operation::EndSessions => Box::pin(sessions::end(self, call)).await,
            Operation::ListSessions => execute::<SessionList>(self, call, ApiRequest::Sessions).await,
            Operation::EndSession => Box::pin(user::end_session(self, call)).await,
            Operation::ListDevices => execute::<DeviceList>(self, call, ApiRequest::Devices).await,
            Operation::ListAccounts => execute::<AccountList>(self, call, ApiRequest::Accounts).await,
            Operation::UnlinkAccount => Box::pin(user::unlink_account(self, call)).await,
            Operation::RevokeAll => execute::<RevokeAllAnswer>(self, call, ApiRequest::RevokeAll).await,
            Operation::ListAlerts => Box::pin(user::alerts(self, call)).await,
            Operation::GetSettings => execute::<UserSettings>(self, call, ApiRequest::Settings).await,
            Operation::LockFactor => Box::pin(user::lock_factor(self, call, body)).await,
            Operation::UnlockFactor => execute::<SecondFactor>(self, call, ApiRequest::UnlockFactor).await,
            Operation::ReadAudit => Box::pin(user::audit(self, call)).await,
        }
    }
}

/// Has a worker execute a request about a user. Boxed, as the other rare operations are.
async fn execute<T>(internal: &Internal, call: &Call<'_>, request: ApiRequest) -> Result<Response, ApiError>
where
    T: Serialize + DeserializeOwned,
{
    Box::pin(user::execute::<T>(internal, call, request)).await
}

/// Checks the user of a request.
fn user_id(text: &str) -> Result<UserId, ApiError> {
    UserId::new(text)
        .map_err(|_invalid_id| ApiError::invalid("userId: 1 to 128 printable ASCII characters were expected"))
}

fn json_response(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = Response::new(Json::of(body).into_text().into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
