//! Errors of the internal API, and their responses.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use protocol::answer::Failure;
use protocol::code::ErrorCode;

use crate::http::response::failure_response;
use crate::settings::Scope;

/// Error of a request to the internal API.
#[derive(Debug)]
pub(super) enum ApiError {
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
            Self::Unauthorized => with_header(
                failure_response(StatusCode::UNAUTHORIZED, &failure),
                (WWW_AUTHENTICATE, "Bearer"),
            ),
            Self::MissingScope(_) => failure_response(StatusCode::FORBIDDEN, &failure),
            Self::Invalid(_) => failure_response(StatusCode::BAD_REQUEST, &failure),
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

/// Gives the refusals of the router itself (unknown path, wrong method, unreadable path) a body like all others. Their headers
/// stay: `Allow` names the methods of a path.
pub(super) fn describe(response: Response) -> Response {
    let status = response.status();
    let is_json = response.headers().get(CONTENT_TYPE) == Some(&HeaderValue::from_static("application/json"));
    if !status.is_client_error() || is_json {
        return response;
    }
    let failure = match status {
        StatusCode::NOT_FOUND => Failure::with_message(ErrorCode::NotSupported, "There is nothing here."),
        StatusCode::METHOD_NOT_ALLOWED => {
            Failure::with_message(ErrorCode::NotSupported, "This path does not support this method.")
        }
        _ => Failure::of(ErrorCode::BadRequest),
    };
    let mut headers = response.into_parts().0.headers;
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    let mut described = failure_response(status, &failure);
    headers.extend(described.headers_mut().drain());
    *described.headers_mut() = headers;
    described
}
