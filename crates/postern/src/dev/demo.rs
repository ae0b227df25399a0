//! Demo of `postern dev`: a page in the browser, and an API by which the page does what an application's server, a platform and a failure
//! of a gateway would do. It has the cluster's secrets, so no gateway but those of `dev` serves it, and only the page may call it.

mod alert;
mod body;
mod cluster_view;
mod endpoint;
mod files;
mod kill;
mod mention;
mod policy;
mod refusal;
mod token;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use axum::{Json, Router};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use lifecycle::{Clock, Entropy};
use protocol::id::UserId;
use protocol::secret::Secret;
use serde::Serialize;
use store::Store;
use tokio::sync::{mpsc, watch};

pub(super) use self::cluster_view::{ClusterView, GatewayView};
pub(super) use self::kill::KillRequest;

use self::endpoint::{Endpoint, PostEndpoint};
use self::refusal::Refusal;

/// Parts of the cluster by which the demo works.
pub(super) struct Demo {
    /// Gateways; none until both are bound.
    pub(super) cluster: watch::Receiver<ClusterView>,
    /// Requests to kill a gateway.
    pub(super) kills: mpsc::Sender<KillRequest>,
    /// Time between the kill of a gateway and the start of the next one.
    pub(super) away: Duration,
    pub(super) simulator: simulator::Handle,
    pub(super) store: Arc<dyn Store>,
    pub(super) jwt_secret: Secret,
    pub(super) internal_token: Secret,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

/// Demo on the public port of one gateway.
#[derive(Clone)]
struct DemoOfGateway {
    demo: Arc<Demo>,
    /// Index of the gateway.
    gateway: usize,
}

impl Demo {
    /// Routes for the public port of the gateway with this index.
    pub(super) fn routes(demo: &Arc<Self>, gateway: usize) -> Router {
        let state = DemoOfGateway {
            demo: Arc::clone(demo),
            gateway,
        };
        Router::new()
            .route("/demo", any(serve))
            .route("/demo/{*path}", any(serve))
            .with_state(state)
    }

    /// User of a request, if it is one of the demo: no token is issued for another, whose data may be in a given Postgres.
    fn user(text: &str) -> Result<UserId, Refusal> {
        let known = USERS.contains(&text).then(|| UserId::new(text).ok()).flatten();
        known.ok_or_else(|| Refusal::bad_request(format!("userId: one of {} was expected", USERS.join(", "))))
    }
}

/// Users of the demo.
const USERS: [&str; 3] = ["GEN-001", "GEN-002", "GEN-003"];

/// Serves a request below `/demo`. Each response has the headers of the policy.
async fn serve(State(of): State<DemoOfGateway>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut response = respond(&of, &head, body).await.unwrap_or_else(Refusal::into_response);
    policy::add_headers(&of.demo.cluster.borrow(), &of.demo.simulator, &head, &mut response);
    response
}

async fn respond(of: &DemoOfGateway, head: &Parts, body: Body) -> Result<Response, Refusal> {
    let Some(name) = head.uri.path().strip_prefix("/demo/api/") else {
        return files::serve(&head.method, head.uri.path());
    };
    let endpoint = Endpoint::named(name).ok_or_else(Refusal::not_found)?;
    if head.method == Method::OPTIONS {
        policy::check_origin(&of.demo.cluster.borrow(), &head.headers)?;
        return Ok(policy::preflight(&endpoint.method()));
    }
    if head.method != endpoint.method() {
        return Err(Refusal::method(&endpoint.method()));
    }
    match endpoint {
        Endpoint::Cluster => Ok(json(StatusCode::OK, &of.demo.describe(of.gateway))),
        Endpoint::Post(endpoint) => {
            policy::check_origin(&of.demo.cluster.borrow(), &head.headers)?;
            let body = body::read(&head.headers, body).await?;
            of.demo.post(endpoint, &body).await
        }
    }
}

impl Demo {
    /// Responds to the body of a request.
    async fn post(&self, endpoint: PostEndpoint, body: &[u8]) -> Result<Response, Refusal> {
        match endpoint {
            PostEndpoint::Token => Ok(json(StatusCode::OK, &self.issue_token(&body::parse(body)?)?)),
            PostEndpoint::Alert => self.publish_alert(body::parse(body)?).await,
            PostEndpoint::Mention => Ok(json(StatusCode::ACCEPTED, &self.mention(body::parse(body)?).await?)),
            PostEndpoint::Kill => Ok(json(StatusCode::ACCEPTED, &self.kill(&body::parse(body)?).await?)),
        }
    }
}

/// Response with a JSON body.
fn json(status: StatusCode, body: &impl Serialize) -> Response {
    use axum::response::IntoResponse;
    (status, Json(body)).into_response()
}
