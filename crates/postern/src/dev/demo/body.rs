//! Bodies of the demo's requests: small JSON texts, named as such.

use axum::body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, StatusCode};
use protocol::code::ErrorCode;
use serde::Deserialize;

use super::refusal::Refusal;

/// Reads a body.
///
/// # Errors
/// 415 without `Content-Type: application/json`, which a form of another page cannot have; 413 above [`MAX_BODY`]; 400 for an incomplete one.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    let of_json = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(is_json);
    if !of_json {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::BadRequest,
            "Content-Type: application/json was expected.",
        ));
    }
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::BadRequest,
            "At most 4 KiB were expected.",
        )),
        Err(_incomplete) => Err(Refusal::bad_request("The body is incomplete.")),
    }
}

/// Parses a body.
///
/// # Errors
/// 400 with the member that is wrong.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let parsed =
        serde_path_to_error::deserialize(&mut json).map_err(|error| Refusal::bad_request(error.to_string()))?;
    json.end().map_err(|error| Refusal::bad_request(error.to_string()))?;
    Ok(parsed)
}

/// Reports whether a media type is JSON, with or without parameters.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// Maximum size of a body, in bytes.
const MAX_BODY: usize = 4 * 1024;
