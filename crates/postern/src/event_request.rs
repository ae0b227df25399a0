//! Request of the internal API that publishes an event, as an application's server sends it.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::{Method, Request, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use protocol::json::Json;
use serde::Serialize;

/// Event to publish.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublishedEvent<'a> {
    /// Name.
    pub(crate) event: &'a str,
    /// Payload.
    pub(crate) data: &'a Json,
    /// Idempotency key, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idempotency_key: Option<&'a str>,
}

/// Builds the request for a user, to `host:port`, with the `Authorization` of the caller.
///
/// # Errors
/// `authority` cannot be a header.
pub(crate) fn event_request(
    authority: &str,
    user: &str,
    bearer: HeaderValue,
    event: &PublishedEvent<'_>,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let user = utf8_percent_encode(user, NON_ALPHANUMERIC);
    Request::builder()
        .method(Method::POST)
        .uri(format!("/v1/users/{user}/events"))
        .header(header::HOST, authority)
        .header(header::AUTHORIZATION, bearer)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(Json::of(event).into_text())))
}
