//! Refused requests of the demo, as `{"error", "message"}`.

use axum::response::Response;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, StatusCode};
use protocol::answer::Failure;
use protocol::code::ErrorCode;

use super::json;

/// Refused request.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: ErrorCode,
    message: String,
    /// Method that would be answered.
    allow: Option<Method>,
}

impl Refusal {
    /// Refusal with a status, a code and a message.
    pub(super) fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            allow: None,
        }
    }

    /// The body breaks a rule, which the message names.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::BadRequest, message)
    }

    /// No route has this path.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::NotSupported, "There is nothing here.")
    }

    /// The route has another method.
    pub(super) fn method(allowed: &Method) -> Self {
        let refusal = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::NotSupported,
            format!("{allowed} was expected."),
        );
        Self {
            allow: Some(allowed.clone()),
            ..refusal
        }
    }

    /// A part of the cluster is unavailable.
    pub(super) fn unavailable() -> Self {
        let code = ErrorCode::Unavailable;
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, code.sentence())
    }

    /// The response.
    pub(super) fn into_response(self) -> Response {
        let mut response = json(self.status, &Failure::with_message(self.code, self.message));
        let allow = self
            .allow
            .and_then(|method| HeaderValue::try_from(method.as_str()).ok());
        if let Some(allow) = allow {
            response.headers_mut().insert(ALLOW, allow);
        }
        response
    }
}
