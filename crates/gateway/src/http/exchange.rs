//! One request and its answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::ConnectInfo;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use tower::ServiceExt;

use super::Http;
use crate::handshake::refusal::Refusal;
use crate::handshake::upgrade::{Endpoint, Upgrade, judge};

/// The service of one connection. It keeps what a request was granted until hyper has sent the answer.
pub(super) struct Exchange {
    http: Arc<Http>,
    peer: SocketAddr,
    granted: Mutex<Option<Upgrade>>,
}

impl Exchange {
    pub(super) fn new(http: Arc<Http>, peer: SocketAddr) -> Self {
        Self {
            http,
            peer,
            granted: Mutex::new(None),
        }
    }

    /// What the connection has become, once hyper is done with it.
    pub(super) fn granted(self) -> Option<Upgrade> {
        self.granted.into_inner().unwrap_or_else(PoisonError::into_inner)
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

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        match Endpoint::of_path(request.uri().path()) {
            Some(endpoint) => {
                let (head, _body) = request.into_parts();
                std::future::ready(Ok(self.upgrade(endpoint, &head))).boxed()
            }
            None => {
                request.extensions_mut().insert(ConnectInfo(self.peer));
                self.http.routes.clone().oneshot(request).boxed()
            }
        }
    }
}
