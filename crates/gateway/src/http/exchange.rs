//! The one request of a connection and its answer.

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
use super::body::DueBody;
use super::cutoff::{Cutoff, Stage};
use super::routes::failed;
use crate::handshake::refusal::Refusal;
use crate::handshake::upgrade::{Endpoint, Upgrade, judge};

/// The service of one connection. It keeps what a request was granted until hyper has sent the answer.
pub(super) struct Exchange {
    http: Arc<Http>,
    peer: SocketAddr,
    request_by: Instant,
    cutoff: Cutoff,
    granted: Mutex<Option<Upgrade>>,
}

impl Exchange {
    pub(super) fn new(http: Arc<Http>, peer: SocketAddr, request_by: Instant, cutoff: Cutoff) -> Self {
        Self {
            http,
            peer,
            request_by,
            cutoff,
            granted: Mutex::new(None),
        }
    }

    /// What the connection has become, once hyper is done with it.
    pub(super) fn granted(self) -> Option<Upgrade> {
        self.granted.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer of a route, whose request body is due with the rest of the request. A route bounds what it waits for; should it
    /// not, this does.
    fn answer(&self, mut request: Request<Incoming>) -> BoxFuture<'static, Result<Response<Body>, Infallible>> {
        self.cutoff.enter(Stage::Answering);
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let request = request.map(|body| DueBody::new(body, self.request_by));
        let answer = self.http.routes.clone().oneshot(request);
        let timing = &self.http.timing;
        let answer_by = self.request_by + timing.job_timeout(Lane::Interactive) + AROUND_A_JOB;
        let (cutoff, taken_within) = (self.cutoff.clone(), timing.answer);
        let answered = async move {
            let answered = timeout_at(answer_by, answer).await;
            let mut response = answered.unwrap_or_else(|_late| {
                let failure = Failure::of(ErrorCode::Timeout);
                Ok(failed(StatusCode::GATEWAY_TIMEOUT, &failure))
            })?;
            // One request is all that a connection is for: none is held by asking again, or by asking ahead.
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            cutoff.enter(Stage::Writing(Instant::now() + taken_within));
            Ok(response)
        };
        answered.boxed()
    }

    fn upgrade(&self, endpoint: Endpoint, head: &Parts) -> Response<Body> {
        let judged = judge(endpoint, head, &self.http.origins).and_then(|upgrade| {
            if (self.http.available)() {
                Ok(upgrade)
            } else {
                Err(Refusal::Unavailable)
            }
        });
        match judged {
            Ok(upgrade) => {
                let response = upgrade.response();
                *self.granted.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
                response
            }
            Err(refusal) => {
                self.http.metrics.refused(refusal.label());
                if matches!(refusal, Refusal::Origin(_)) {
                    self.http.origin_log.refused(head, Instant::now());
                }
                let mut response = refusal.response();
                self.allow_reading(head, &mut response);
                response
            }
        }
    }

    /// Lets an allowed page read the answer (CORS): without it a browser hides even the status from the application.
    fn allow_reading(&self, head: &Parts, response: &mut Response<Body>) {
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
                let taken_by = Instant::now() + self.http.timing.answer;
                self.cutoff.enter(Stage::Writing(taken_by));
                std::future::ready(Ok(self.upgrade(endpoint, &head))).boxed()
            }
            None => self.answer(request),
        }
    }
}

/// For what a route asks of Redis before and after the worker.
const AROUND_A_JOB: Duration = Duration::from_secs(8);
