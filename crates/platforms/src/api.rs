//! Calls of a platform's API, and the meaning of an answer's status: shared by the platforms whose answers carry no information
//! in headers.

use http::{Request, Response, StatusCode, header};
use protocol::account::AccountType;
use protocol::secret::Secret;
use serde::de::DeserializeOwned;
use url::Url;

use crate::http::{CallError, Http};
use crate::oauth::Dialect;
use crate::platform::ApiError;
use crate::rate_limit::{self, Throttle};
use crate::route::Route;
use crate::untrusted;

/// Credential of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Credential<'a> {
    /// User's access token (RFC 6750).
    Bearer(&'a Secret),
    /// Token of the application's bot, in Discord's own authentication scheme.
    Bot(&'a Secret),
}

/// Sends a GET. An answer that reports an invalid token or too many requests is an error; every other status is returned.
pub(crate) async fn get(
    dialect: &Dialect,
    http: &Http,
    (template, url): (&'static str, &Url),
    credential: Credential<'_>,
) -> Result<Response<Vec<u8>>, ApiError> {
    let authorization = match credential {
        Credential::Bearer(token) => format!("Bearer {}", token.expose()),
        Credential::Bot(token) => format!("Bot {}", token.expose()),
    };
    let mut request = Request::get(url.as_str()).header(header::AUTHORIZATION, authorization);
    if let Some(name) = dialect.user_agent {
        request = request.header(header::USER_AGENT, name);
    }
    send(dialect.route(template), http, request.body(Vec::new())).await
}

/// Sends a request that the caller has built; otherwise as [`get`].
pub(crate) async fn send(
    route: Route,
    http: &Http,
    request: Result<Request<Vec<u8>>, http::Error>,
) -> Result<Response<Vec<u8>>, ApiError> {
    let account = route.platform;
    let request = request.map_err(|error| unavailable(account, CallError::NotSent(error.into())))?;
    let answer = http.send(route, request).await;
    let answer = answer.map_err(|error| unavailable(account, error))?;
    if let Some(Throttle { wait, pause }) = rate_limit::of_answer(&answer) {
        return Err(ApiError::Throttled { account, wait, pause });
    }
    match answer.status() {
        StatusCode::UNAUTHORIZED => Err(ApiError::Refused(account)),
        _ => Ok(answer),
    }
}

/// Body of a 200; any other status counts as no usable answer.
pub(crate) fn read<T: DeserializeOwned>(account: AccountType, answer: &Response<Vec<u8>>) -> Result<T, ApiError> {
    match answer.status() {
        StatusCode::OK => untrusted::read(answer.body()).ok_or_else(|| unavailable(account, CallError::Unreadable)),
        status => Err(unavailable(account, CallError::Status(status))),
    }
}

/// Size of the page to request after one of `size` exceeded the size limit of answers: users may write long texts.
///
/// # Errors
/// Returns `error` if it has another cause, or the page already had the least size.
pub(crate) fn smaller_page(size: usize, least: usize, error: ApiError) -> Result<usize, ApiError> {
    if size > least && is_too_large(&error) {
        Ok((size / 5).max(least))
    } else {
        Err(error)
    }
}

/// Reports whether the answer exceeded the size limit.
pub(crate) fn is_too_large(error: &ApiError) -> bool {
    let ApiError::Unavailable(_, cause) = error else {
        return false;
    };
    matches!(cause.downcast_ref(), Some(CallError::TooLarge))
}

fn unavailable(account: AccountType, error: CallError) -> ApiError {
    ApiError::Unavailable(account, error.into())
}
