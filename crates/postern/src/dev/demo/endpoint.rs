//! Endpoints of the demo's API.

use hyper::Method;

/// Endpoint below `/demo/api`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// Describes the cluster.
    Cluster,
    /// Changes something.
    Post(PostEndpoint),
}

/// Endpoint that only the page may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PostEndpoint {
    /// Issues a token.
    Token,
    /// Publishes an alert.
    Alert,
    /// Has a platform mention a user.
    Mention,
    /// Kills a gateway.
    Kill,
}

impl Endpoint {
    /// Endpoint with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "cluster" => Some(Self::Cluster),
            "token" => Some(Self::Post(PostEndpoint::Token)),
            "alert" => Some(Self::Post(PostEndpoint::Alert)),
            "mention" => Some(Self::Post(PostEndpoint::Mention)),
            "kill" => Some(Self::Post(PostEndpoint::Kill)),
            _ => None,
        }
    }

    /// The one method that it answers, beside the preflight.
    pub(super) fn method(self) -> Method {
        match self {
            Self::Cluster => Method::GET,
            Self::Post(_) => Method::POST,
        }
    }
}
