//! Errors of the internal API, and their responses.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use protocol::answer::Failure;
use protocol::code::ErrorCode;

use crate::http::response::failure_response;
use crate::settings::Scope;

/// Error of a request to the internal API.
#[derive(Debug)]
pub(super) enum ApiError {
    /// Path that is no route.
    NoRoute,
    /// Method that the route does not have; the value names those that it has.
    WrongMethod(&'static str),
    /// Path that is not UTF-8 once it is decoded.
    UnreadablePath,
    /// Missing or unknown bearer token.
    Unauthorized,
    /// Token without the scope of the route.
    MissingScope(Scope),
    /// Invalid request; the message names the field.
    Invalid(String),
    /// Body above this size, in bytes.
    TooLarge(usize),
    /// Bus or worker failure.
    Failed(ErrorCode),
}

impl ApiError {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }
}

impl ApiError {
    /// Body of the response.
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::NoRoute => Failure::with_message(ErrorCode::NotSupported, "There is nothing here."),
            Self::WrongMethod(_) => {
                Failure::with_message(ErrorCode::NotSupported, "This path does not support this method.")
            }
            Self::UnreadablePath => Failure::of(ErrorCode::BadRequest),
            Self::Unauthorized => Failure::of(ErrorCode::Unauthenticated),
            Self::MissingScope(scope) => {
                let sentence = format!("The token does not have the scope {}.", scope.as_str());
                Failure::with_message(ErrorCode::Forbidden, sentence)
            }
            Self::Invalid(message) => Failure::with_message(ErrorCode::BadRequest, message.as_str()),
            Self::TooLarge(max) => {
                let sentence = format!("body: at most {max} bytes were expected");
                Failure::with_message(ErrorCode::BadRequest, sentence)
            }
            // The default message of the code says that nothing was done, which is not known here.
            Self::Failed(ErrorCode::Unavailable) => Failure::with_message(
                ErrorCode::Unavailable,
                "Not known to be published; repeat with the same key.",
            ),
            Self::Failed(code) => Failure::of(*code),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let failure = self.failure();
        match self {
            Self::NoRoute => failure_response(StatusCode::NOT_FOUND, &failure),
            Self::WrongMethod(allow) => with_header(
                failure_response(StatusCode::METHOD_NOT_ALLOWED, &failure),
                (ALLOW, allow),
            ),
            Self::Unauthorized => with_header(
                failure_response(StatusCode::UNAUTHORIZED, &failure),
                (WWW_AUTHENTICATE, "Bearer"),
            ),
            Self::MissingScope(_) => failure_response(StatusCode::FORBIDDEN, &failure),
            Self::UnreadablePath | Self::Invalid(_) => failure_response(StatusCode::BAD_REQUEST, &failure),
            Self::TooLarge(_) => failure_response(StatusCode::PAYLOAD_TOO_LARGE, &failure),
            Self::Failed(ErrorCode::Unavailable) => with_header(
                failure_response(StatusCode::SERVICE_UNAVAILABLE, &failure),
                (RETRY_AFTER, "1"),
            ),
            Self::Failed(_) => failure_response(StatusCode::INTERNAL_SERVER_ERROR, &failure),
        }
    }
}

fn with_header(mut response: Response, (name, value): (HeaderName, &'static str)) -> Response {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}
