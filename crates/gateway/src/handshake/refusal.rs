//! Why a request does not become a WebSocket, and how that is answered.

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use protocol::answer::Failure;
use protocol::code::ErrorCode;

use super::upgrade::Endpoint;

/// A request to a WebSocket endpoint that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The URL holds a token.
    TokenInQuery,
    /// A page that is not on the list.
    Origin(Endpoint),
    /// Engine.IO's rules are broken.
    Engine(EngineError),
    /// No subprotocol of ours was offered.
    Subprotocol,
    /// RFC 6455's rules are broken.
    Handshake,
    /// A WebSocket version that is not 13.
    Version,
    /// The bus is away, or the node drains.
    Unavailable,
}

/// What Engine.IO says to a client it refuses: the reference's codes and sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EngineError {
    /// Long polling, mostly.
    UnknownTransport,
    /// A session of another server.
    UnknownSession,
    /// Not GET.
    BadMethod,
    /// Not an upgrade.
    BadRequest,
    /// Not Engine.IO 4.
    UnsupportedVersion,
}

impl Refusal {
    /// The metric label.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::TokenInQuery => "token_in_query",
            Self::Origin(_) => "origin",
            Self::Engine(EngineError::UnknownTransport) => "transport",
            Self::Engine(_) => "engineio",
            Self::Subprotocol => "subprotocol",
            Self::Handshake | Self::Version => "handshake",
            Self::Unavailable => "unavailable",
        }
    }

    /// The answer, with a JSON body. The connection is closed after it: whoever sends a broken upgrade may have meant more.
    pub(crate) fn response<B: From<String>>(self) -> Response<B> {
        let mut response = Response::new(B::from(self.body()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        match self {
            Self::Version => headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
            Self::Unavailable => headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2")),
            _ => None,
        };
        response
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Origin(_) => StatusCode::FORBIDDEN,
            Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::TokenInQuery | Self::Engine(_) | Self::Subprotocol | Self::Handshake => StatusCode::BAD_REQUEST,
        }
    }

    fn body(self) -> String {
        let ours = |code, message| failure_body(&Failure::with_message(code, message));
        match self {
            Self::Engine(error) => error.body(),
            // Engine.IO's own refusal of an origin.
            Self::Origin(Endpoint::SocketIo) => engine_body(4, "Forbidden"),
            Self::Origin(Endpoint::Native) => ours(ErrorCode::Forbidden, "This origin is not allowed."),
            Self::TokenInQuery => ours(ErrorCode::BadRequest, "A token does not belong into a URL."),
            Self::Subprotocol => ours(
                ErrorCode::BadRequest,
                "Offer the subprotocol postern.v1.json or postern.v1.msgpack.",
            ),
            Self::Handshake => ours(ErrorCode::BadRequest, "This is no WebSocket handshake (RFC 6455)."),
            Self::Version => ours(ErrorCode::BadRequest, "The WebSocket version is 13."),
            Self::Unavailable => failure_body(&Failure::of(ErrorCode::Unavailable)),
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

fn engine_body(code: u8, message: &str) -> String {
    format!(r#"{{"code":{code},"message":"{message}"}}"#)
}

/// The body of every failed HTTP request of ours: `{"error", "message", ...}`.
pub(crate) fn failure_body(failure: &Failure) -> String {
    protocol::json::Json::of(failure).as_str().to_owned()
}
