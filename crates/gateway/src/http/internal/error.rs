//! Errors of the internal API, and their responses: problem details (RFC 9457).

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use protocol::answer::Failure;
use protocol::api::{Problem, Scope};
use protocol::code::ErrorCode;
use protocol::json::Json;

use super::budget::ExceededLimit;

/// Error of a request to the internal API.
#[derive(Debug)]
pub(super) enum ApiError {
    /// Path that is no route.
    NoRoute,
    /// Method that the path does not have; the text names those that it has.
    WrongMethod(String),
    /// Path that is not UTF-8 once it is decoded.
    UnreadablePath,
    /// Missing or unknown bearer token.
    Unauthorized,
    /// Token without the scope of the route.
    MissingScope(Scope),
    /// Limit of the caller or of its address.
    Exceeded(ExceededLimit),
    /// Invalid request; the message names the field.
    Invalid(String),
    /// Body above this size, in bytes.
    TooLarge(usize),
    /// Bus or worker failure.
    Failed(ErrorCode),
    /// Refusal of a worker, or of the state of the user.
    Refused(Box<Failure>),
    /// Gateway at the end of its drain.
    Stopping,
}

impl ApiError {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    /// Refusal of an idempotency key that was used with other content.
    pub(super) fn other_content() -> Self {
        let sentence = "This idempotency key was used with another request.";
        Self::Refused(Box::new(Failure::with_message(ErrorCode::Conflict, sentence)))
    }

    /// Failure in the body of the response.
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::NoRoute => Failure::with_message(ErrorCode::NotSupported, "There is nothing here."),
            Self::WrongMethod(_) => {
                Failure::with_message(ErrorCode::NotSupported, "This path does not support this method.")
            }
            Self::UnreadablePath => Failure::of(ErrorCode::BadRequest),
            Self::Unauthorized => Failure::of(ErrorCode::Unauthenticated),
            Self::MissingScope(scope) => {
                let sentence = format!("The token does not have the scope {}.", scope.as_str());
                Failure::with_message(ErrorCode::Forbidden, sentence)
            }
            Self::Exceeded(exceeded) => exceeded.failure(),
            Self::Invalid(message) => Failure::with_message(ErrorCode::BadRequest, message.as_str()),
            Self::TooLarge(max) => {
                let sentence = format!("body: at most {max} bytes were expected");
                Failure::with_message(ErrorCode::BadRequest, sentence)
            }
            // The default message of the code says that nothing was done, which is not known here.
            Self::Failed(ErrorCode::Unavailable) => Failure::with_message(
                ErrorCode::Unavailable,
                "The outcome is not known; repeat with the same key.",
            ),
            Self::Failed(code) => Failure::of(*code),
            Self::Refused(failure) => Failure::clone(failure),
            Self::Stopping => Failure::with_message(
                ErrorCode::Unavailable,
                "This gateway is stopping and has done nothing; repeat the request.",
            ),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::MissingScope(_) => StatusCode::FORBIDDEN,
            Self::Exceeded(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::UnreadablePath | Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(code) => status_of(*code),
            Self::Refused(failure) => status_of(failure.error),
        }
    }
}

fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden | ErrorCode::ReauthRequired | ErrorCode::OauthDenied => StatusCode::FORBIDDEN,
        ErrorCode::UnknownEvent | ErrorCode::NotConnected | ErrorCode::NotSupported => StatusCode::NOT_FOUND,
        ErrorCode::AlreadyConnected
        | ErrorCode::Conflict
        | ErrorCode::TwoFactorRequired
        | ErrorCode::TwoFactorInvalid
        | ErrorCode::TwoFactorLocked
        | ErrorCode::ChallengeExpired
        | ErrorCode::ConfirmationInvalid
        | ErrorCode::OauthFailed => StatusCode::CONFLICT,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Timeout
        | ErrorCode::Unavailable
        | ErrorCode::PlatformUnavailable
        | ErrorCode::PlatformRateLimited => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl ExceededLimit {
    fn failure(self) -> Failure {
        let (sentence, wait) = match self {
            Self::RefusedTokens(wait) => ("Too many refused tokens from this address; wait a little.", wait),
            Self::Rate(wait) => ("Too many requests a second of this caller; wait a little.", wait),
            Self::InFlight => ("Too many requests of this caller at the same time.", Duration::ZERO),
        };
        Failure {
            retry_after: Some((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)),
            ..Failure::with_message(ErrorCode::RateLimited, sentence)
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, failure) = (self.status(), self.failure());
        let problem = Problem::of(status.as_u16(), &failure);
        let mut response = Response::new(Json::of(&problem).into_text().into());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(Problem::MEDIA_TYPE));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let unavailable = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
        if let Some(seconds) = failure.retry_after.or(unavailable) {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        match self {
            Self::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::WrongMethod(allowed) => {
                headers.extend(HeaderValue::try_from(allowed).ok().map(|allowed| (ALLOW, allowed)));
            }
            _ => {}
        }
        response
    }
}
