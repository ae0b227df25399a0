//! Handler of the requests of an HTTP listener.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use gateway::{InternalApi, InternalTls};
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

/// Handler of the requests of a listener.
pub(crate) enum Handler {
    /// Health routes and metrics, over plain HTTP.
    Health(TowerToHyperService<Router>),
    /// Internal API of a gateway.
    Internal(InternalApi),
}

impl Handler {
    /// Handler by health routes.
    pub(crate) fn health(routes: Router) -> Self {
        Self::Health(TowerToHyperService::new(routes))
    }

    /// TLS of the connections; `None` is plain HTTP.
    pub(super) fn tls(&self) -> Option<InternalTls> {
        match self {
            Self::Health(_) => None,
            Self::Internal(api) => api.tls.clone(),
        }
    }

    /// Responds to a request of a peer.
    pub(super) async fn respond(&self, peer: SocketAddr, request: Request<Incoming>) -> Result<Response, Infallible> {
        match self {
            Self::Health(routes) => routes.call(request).await,
            Self::Internal(api) => Ok(api.respond(Some(peer), request.map(Body::new)).await),
        }
    }
}
