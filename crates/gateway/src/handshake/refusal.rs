//! Reasons for refusing an upgrade request, and their HTTP responses.

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use protocol::answer::Failure;
use protocol::code::ErrorCode;

use super::request::Endpoint;
use crate::metrics::RefusalReason;
use crate::socket_limit::RETRY_AFTER;

/// Reason for refusing an upgrade request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UpgradeRefusal {
    /// Token in the URL.
    TokenInQuery,
    /// Origin that is not allowed, as [`origin::named`](super::origin::named) has it.
    Origin(Endpoint, String),
    /// Violation of Engine.IO.
    Engine(EngineError),
    /// No supported subprotocol offered.
    Subprotocol,
    /// Violation of RFC 6455.
    Handshake,
    /// WebSocket version other than 13.
    Version,
    /// Bus unavailable, or node draining.
    Unavailable,
    /// Maximum number of sockets of this gateway reached.
    Full,
    /// Limit of the client's address. Only behind a proxy: a direct client is dropped before TLS.
    AddressLimit(RefusalReason),
}

/// Error of Engine.IO, with code and message of the reference implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EngineError {
    /// Transport other than WebSocket, usually long polling.
    UnknownTransport,
    /// Session id of another server.
    UnknownSession,
    /// Method other than GET.
    BadMethod,
    /// Request without upgrade.
    BadRequest,
    /// Version other than Engine.IO 4.
    UnsupportedVersion,
}

impl UpgradeRefusal {
    /// Returns the reason in the metric of refused connections.
    pub(crate) fn reason(&self) -> RefusalReason {
        match self {
            Self::TokenInQuery => RefusalReason::TokenInQuery,
            Self::Origin(..) => RefusalReason::Origin,
            Self::Engine(EngineError::UnknownTransport) => RefusalReason::Transport,
            Self::Engine(_) => RefusalReason::EngineIo,
            Self::Subprotocol => RefusalReason::Subprotocol,
            Self::Handshake | Self::Version => RefusalReason::Handshake,
            Self::Unavailable => RefusalReason::Unavailable,
            Self::Full => RefusalReason::MaxSockets,
            Self::AddressLimit(reason) => *reason,
        }
    }

    /// Returns the response with a JSON body. It closes the connection, because bytes after a refused upgrade may be frames, not a
    /// request.
    pub(crate) fn response<B: From<String>>(&self) -> Response<B> {
        let mut response = Response::new(B::from(self.body()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        match self {
            Self::Version => headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
            Self::Unavailable => headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2")),
            Self::Full => headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER.as_secs())),
            Self::AddressLimit(_) => headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1")),
            _ => None,
        };
        response
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Origin(..) => StatusCode::FORBIDDEN,
            Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Unavailable | Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::AddressLimit(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::TokenInQuery | Self::Engine(_) | Self::Subprotocol | Self::Handshake => StatusCode::BAD_REQUEST,
        }
    }

    fn body(&self) -> String {
        let failure = |code, message: &str| failure_body(&Failure::with_message(code, message));
        match self {
            Self::Engine(error) => error.body(),
            // Engine.IO has an error code of its own for origins.
            Self::Origin(Endpoint::SocketIo, origin) => engine_body(4, &not_listed(origin)),
            Self::Origin(Endpoint::Native, origin) => failure(ErrorCode::Forbidden, &not_listed(origin)),
            Self::TokenInQuery => failure(ErrorCode::BadRequest, "A token does not belong into a URL."),
            Self::Subprotocol => failure(
                ErrorCode::BadRequest,
                "Offer the subprotocol postern.v1.json or postern.v1.msgpack.",
            ),
            Self::Handshake => failure(ErrorCode::BadRequest, "This is no WebSocket handshake (RFC 6455)."),
            Self::Version => failure(ErrorCode::BadRequest, "The WebSocket version is 13."),
            Self::Unavailable => failure_body(&Failure::of(ErrorCode::Unavailable)),
            Self::Full => failure(
                ErrorCode::Unavailable,
                "This gateway has no room for another socket; try again.",
            ),
            Self::AddressLimit(_) => failure_body(&Failure {
                retry_after: Some(1),
                ..Failure::of(ErrorCode::RateLimited)
            }),
        }
    }
}

impl EngineError {
    fn body(self) -> String {
        match self {
            Self::UnknownTransport => engine_body(0, "Transport unknown"),
            Self::UnknownSession => engine_body(1, "Session ID unknown"),
            Self::BadMethod => engine_body(2, "Bad handshake method"),
            Self::BadRequest => engine_body(3, "Bad request"),
            Self::UnsupportedVersion => engine_body(5, "Unsupported protocol version"),
        }
    }
}

/// Sentence about an origin, which [`origin::named`](super::origin::named) has made safe.
fn not_listed(origin: &str) -> String {
    format!("The origin {origin} is not in POSTERN_ALLOWED_ORIGINS.")
}

/// Body of an error of Engine.IO; the message has nothing that JSON escapes.
fn engine_body(code: u8, message: &str) -> String {
    format!(r#"{{"code":{code},"message":"{message}"}}"#)
}

/// Returns the body of a failed HTTP request: `{"error", "message", ...}`.
pub(crate) fn failure_body(failure: &Failure) -> String {
    protocol::json::Json::of(failure).as_str().to_owned()
}
