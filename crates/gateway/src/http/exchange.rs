//! The one request of a connection and its response.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::Service;
use protocol::answer::Failure;
use protocol::cluster::job::Lane;
use protocol::code::ErrorCode;
use tokio::time::{Instant, timeout_at};
use tower::ServiceExt;

use super::Http;
use super::body::DeadlineBody;
use super::cutoff::{Cutoff, Stage};
use super::response::failure_response;
use crate::handshake::refusal::UpgradeRefusal;
use crate::handshake::request::Endpoint;
use crate::handshake::upgrade::{Upgrade, negotiate};

/// HTTP service of one connection. It keeps an accepted upgrade until hyper has sent the response.
pub(super) struct Exchange {
    http: Arc<Http>,
    peer: SocketAddr,
    request_by: Instant,
    cutoff: Cutoff,
    upgrade: Mutex<Option<Upgrade>>,
}

impl Exchange {
    pub(super) fn new(http: Arc<Http>, peer: SocketAddr, request_by: Instant, cutoff: Cutoff) -> Self {
        Self {
            http,
            peer,
            request_by,
            cutoff,
            upgrade: Mutex::new(None),
        }
    }

    /// Returns the accepted upgrade, if any, after hyper has finished.
    pub(super) fn into_upgrade(self) -> Option<Upgrade> {
        self.upgrade.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a route. The request body has the deadline of the request. The route is cancelled at an outer deadline, in case it has a
    /// wait without a timeout.
    fn route(&self, mut request: Request<Incoming>) -> BoxFuture<'static, Result<Response<Body>, Infallible>> {
        self.cutoff.enter(Stage::Running);
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let request = request.map(|body| DeadlineBody::new(body, self.request_by));
        let response = self.http.routes.clone().oneshot(request);
        let timing = &self.http.timing;
        let respond_by = self.request_by + timing.job_timeout(Lane::Interactive) + JOB_OVERHEAD;
        let (cutoff, write_timeout) = (self.cutoff.clone(), timing.answer);
        let route = async move {
            let response = timeout_at(respond_by, response).await;
            let mut response = response.unwrap_or_else(|_elapsed| {
                let failure = Failure::of(ErrorCode::Timeout);
                Ok(failure_response(StatusCode::GATEWAY_TIMEOUT, &failure))
            })?;
            // A connection serves one request: neither keep-alive nor pipelining extends it.
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            cutoff.enter(Stage::Writing(Instant::now() + write_timeout));
            Ok(response)
        };
        route.boxed()
    }

    fn upgrade(&self, endpoint: Endpoint, head: &Parts) -> Response<Body> {
        let negotiated = negotiate(endpoint, head, &self.http.origins).and_then(|upgrade| {
            if (self.http.available)() {
                Ok(upgrade)
            } else {
                Err(UpgradeRefusal::Unavailable)
            }
        });
        match negotiated {
            Ok(upgrade) => {
                let response = upgrade.response();
                *self.upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
                response
            }
            Err(refusal) => {
                self.http.metrics.refused(refusal.label());
                if matches!(refusal, UpgradeRefusal::Origin(_)) {
                    self.http.origin_log.refused(head, Instant::now());
                }
                let mut response = refusal.response();
                self.add_cors_headers(head, &mut response);
                response
            }
        }
    }

    /// Adds CORS headers for an allowed origin. Without them a browser hides even the status from the application.
    fn add_cors_headers(&self, head: &Parts, response: &mut Response<Body>) {
        let Some(origin) = head.headers.get(header::ORIGIN) else {
            return;
        };
        if origin.to_str().is_ok_and(|origin| self.http.origins.allows(origin)) {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        }
    }
}

impl Service<Request<Incoming>> for Exchange {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        match Endpoint::of_path(request.uri().path()) {
            Some(endpoint) => {
                let (head, _body) = request.into_parts();
                let write_by = Instant::now() + self.http.timing.answer;
                self.cutoff.enter(Stage::Writing(write_by));
                std::future::ready(Ok(self.upgrade(endpoint, &head))).boxed()
            }
            None => self.route(request),
        }
    }
}

/// Time of a route beside its job, for Redis commands.
const JOB_OVERHEAD: Duration = Duration::from_secs(8);
