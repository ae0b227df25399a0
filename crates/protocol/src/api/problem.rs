//! Errors of the internal API, as problem details of RFC 9457.

use serde::Serialize;

use crate::answer::Failure;
use crate::code::ErrorCode;

/// Body of an error, `application/problem+json`. `error` and `message` are members of all errors of Postern; the others are those of the
/// RFC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// URI of the kind of error, `urn:postern:problem:` and its code. It names the kind and cannot be fetched.
    #[serde(rename = "type")]
    pub kind: String,
    /// Sentence about the kind of error.
    pub title: &'static str,
    /// Status of the response.
    pub status: u16,
    /// Sentence about this error, for a person.
    pub detail: String,
    /// Code of the error.
    pub error: ErrorCode,
    /// Same sentence as `detail`.
    pub message: String,
    /// Seconds to wait before the request is repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// Media type of the body.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// Problem of a failure in a response with this status.
    #[must_use]
    pub fn of(status: u16, failure: &Failure) -> Self {
        Self {
            kind: format!("urn:postern:problem:{}", failure.error.as_str()),
            title: failure.error.sentence(),
            status,
            detail: failure.message.clone(),
            error: failure.error,
            message: failure.message.clone(),
            retry_after: failure.retry_after,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn problem_keeps_the_members_of_every_failure() {
        let failure = Failure {
            retry_after: Some(3),
            ..Failure::with_message(ErrorCode::RateLimited, "At most 5 requests a second.")
        };
        let problem = serde_json::to_value(Problem::of(429, &failure)).unwrap();
        let expected = json!({
            "type": "urn:postern:problem:rate_limited",
            "title": "Too many requests; wait a little.",
            "status": 429,
            "detail": "At most 5 requests a second.",
            "error": "rate_limited",
            "message": "At most 5 requests a second.",
            "retryAfter": 3,
        });
        assert_eq!(problem, expected);
        let without_wait = serde_json::to_value(Problem::of(404, &Failure::of(ErrorCode::NotSupported))).unwrap();
        assert_eq!(without_wait.get("retryAfter"), None);
    }
}
