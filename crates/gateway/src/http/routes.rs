//! Public HTTP routes beside the WebSocket endpoints.

use axum::Router;
use axum::response::Response;
use http::StatusCode;
use protocol::answer::Failure;
use protocol::code::ErrorCode;

use super::callback::{self, Callbacks};
use super::response::failure_response;
use super::webhook::{self, Webhooks};

/// Returns the routes of the public port.
pub(super) fn routes(callbacks: Callbacks, webhooks: Webhooks, further: Router) -> Router {
    callback::router(callbacks)
        .merge(webhook::router(webhooks))
        .merge(further)
        .fallback(not_found)
}

async fn not_found() -> Response {
    failure_response(
        StatusCode::NOT_FOUND,
        &Failure::with_message(ErrorCode::NotSupported, "There is nothing here."),
    )
}
