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

/// Seconds after which a failed request may be repeated: those of the failure, and of every 503.
pub(super) fn retry_after(status: StatusCode, failure: &Failure) -> Option<u64> {
    let unavailable = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(UNAVAILABLE_RETRY);
    failure.retry_after.or(unavailable)
}

/// Seconds: workers that are replaced claim again within that time.
const UNAVAILABLE_RETRY: u64 = 5;
