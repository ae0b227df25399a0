//! Bodies of requests, of limited size.

use std::error::Error;

use axum::body::{Body, Bytes, to_bytes};
use http_body_util::LengthLimitError;
use protocol::api::table::ApiRoute;

use super::error::ApiError;

/// Reads a body of at most the size that the route allows.
pub(super) async fn read(body: Body, route: &ApiRoute) -> Result<Bytes, ApiError> {
    let max = route.request.map_or(0, |request| request.max_bytes);
    to_bytes(body, max).await.map_err(|error| {
        if error.source().is_some_and(|source| source.is::<LengthLimitError>()) {
            ApiError::TooLarge(max)
        } else {
            ApiError::invalid("body: it ended early")
        }
    })
}
