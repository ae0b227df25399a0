//! The one request of a connection and its response.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
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
use super::forwarded;
use super::response::failure_response;
use super::security_headers;
use crate::handshake::refusal::UpgradeRefusal;
use crate::handshake::request::Endpoint;
use crate::handshake::upgrade::{Upgrade, negotiate};
use crate::listener::client::Client;
use crate::listener::pending::PendingPermit;
use crate::socket_limit::SocketPermit;

/// Accepted upgrade with its client and the permit of its socket.
type AcceptedUpgrade = (Upgrade, Client, SocketPermit);

/// HTTP service of one connection. It keeps an accepted upgrade until hyper has sent the response.
pub(super) struct Exchange<'c> {
    http: Arc<Http>,
    /// Client of the connection, and its permit.
    client: Client,
    permit: &'c PendingPermit,
    request_by: Instant,
    cutoff: Cutoff,
    upgrade: Mutex<Option<AcceptedUpgrade>>,
}

impl<'c> Exchange<'c> {
    pub(super) fn new(
        http: Arc<Http>,
        (client, permit): (Client, &'c PendingPermit),
        request_by: Instant,
        cutoff: Cutoff,
    ) -> Self {
        Self {
            http,
            client,
            permit,
            request_by,
            cutoff,
            upgrade: Mutex::new(None),
        }
    }

    /// Returns the accepted upgrade, if any, after hyper has finished.
    pub(super) fn into_upgrade(self) -> Option<AcceptedUpgrade> {
        self.upgrade.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a route. The request body has the deadline of the request. The route is cancelled at an outer deadline, in case it has a
    /// wait without a timeout.
    fn route(
        &self,
        mut request: Request<Incoming>,
        client: Client,
    ) -> BoxFuture<'static, Result<Response<Body>, Infallible>> {
        self.cutoff.enter(Stage::Running);
        request.extensions_mut().insert(client);
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
            security_headers::add_missing(&mut response);
            cutoff.enter(Stage::Writing(Instant::now() + write_timeout));
            Ok(response)
        };
        route.boxed()
    }

    /// Returns the client of a request. If a proxy names it in the request, the limits per address apply from here.
    fn client(&self, headers: &HeaderMap) -> Result<Client, UpgradeRefusal> {
        let client = forwarded::client(self.client, headers, &self.http.proxies);
        if self.client.is_forwarding() {
            client.record();
        }
        let admitted = self.http.admission.identify(self.permit, &client, Instant::now());
        admitted.map(|()| client).map_err(UpgradeRefusal::AddressLimit)
    }

    fn upgrade(&self, endpoint: Endpoint, head: &Parts, client: Client) -> Response<Body> {
        let negotiated = negotiate(endpoint, head, &self.http.origins).and_then(|upgrade| {
            if !(self.http.available)() {
                return Err(UpgradeRefusal::Unavailable);
            }
            let socket = self.http.sockets.acquire().ok_or(UpgradeRefusal::Full)?;
            Ok((upgrade, client, socket))
        });
        match negotiated {
            Ok(accepted) => {
                let response = accepted.0.response();
                *self.upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(accepted);
                response
            }
            Err(refusal) => {
                if matches!(refusal, UpgradeRefusal::Origin(..)) {
                    self.http.origin_log.refused(head, Instant::now());
                }
                self.refuse(&refusal, &head.headers)
            }
        }
    }

    fn refuse(&self, refusal: &UpgradeRefusal, headers: &HeaderMap) -> Response<Body> {
        self.http.metrics.refused(refusal.reason());
        let mut response = refusal.response();
        self.add_cors_headers(headers, &mut response);
        response
    }

    /// Adds CORS headers for an allowed origin. Without them a browser hides even the status from the application.
    fn add_cors_headers(&self, headers: &HeaderMap, response: &mut Response<Body>) {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return;
        };
        if origin.to_str().is_ok_and(|origin| self.http.origins.allows(origin)) {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        }
    }
}

impl Service<Request<Incoming>> for Exchange<'_> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let client = self.client(request.headers());
        let mut response = match (client, Endpoint::of_path(request.uri().path())) {
            (Ok(client), Some(endpoint)) => self.upgrade(endpoint, &request.into_parts().0, client),
            (Ok(client), None) => return self.route(request, client),
            (Err(refusal), _) => self.refuse(&refusal, request.headers()),
        };
        security_headers::add_missing(&mut response);
        self.cutoff
            .enter(Stage::Writing(Instant::now() + self.http.timing.answer));
        std::future::ready(Ok(response)).boxed()
    }
}

/// Time of a route beside its job, for Redis commands.
const JOB_OVERHEAD: Duration = Duration::from_secs(8);
