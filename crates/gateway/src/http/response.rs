//! Responses shared by the HTTP routes.

use axum::response::Response;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use protocol::answer::Failure;

use crate::handshake::refusal::failure_body;

/// Returns the response of a failed request: a status and `{"error", "message"}`.
pub(super) fn failure_response(status: StatusCode, failure: &Failure) -> Response {
    let mut response = Response::new(failure_body(failure).into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
