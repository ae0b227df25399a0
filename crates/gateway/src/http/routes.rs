//! The plain HTTP routes beside the sockets.

use axum::Router;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{StatusCode, header};
use protocol::answer::Failure;
use protocol::code::ErrorCode;

use super::callback::{self, Callbacks};
use super::webhook::{self, Webhooks};
use crate::handshake::refusal::failure_body;

/// What the public port answers besides the sockets.
pub(super) fn routes(callbacks: Callbacks, webhooks: Webhooks) -> Router {
    callback::router(callbacks)
        .merge(webhook::router(webhooks))
        .fallback(nothing_here)
}

async fn nothing_here() -> Response {
    failed(
        StatusCode::NOT_FOUND,
        &Failure::with_message(ErrorCode::NotSupported, "There is nothing here."),
    )
}

/// A failed request: a status and `{"error", "message"}`.
pub(super) fn failed(status: StatusCode, failure: &Failure) -> Response {
    let mut response = Response::new(failure_body(failure).into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
