//! A call of a platform's API, and what its answer means; the same wherever nothing is said in headers.

use http::{Request, Response, StatusCode, header};
use protocol::account::AccountType;
use protocol::secret::Secret;
use serde::de::DeserializeOwned;
use url::Url;

use crate::foreign;
use crate::http::{CallError, Http};
use crate::oauth::Dialect;
use crate::platform::ApiError;
use crate::throttle::{self, Throttle};

/// Whose call it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Credential<'a> {
    /// A user's, by an access token (RFC 6750).
    Bearer(&'a Secret),
    /// That of an application's bot, as Discord wants it.
    Bot(&'a Secret),
}

/// Asks. The answer is 200, or an error that is neither about the token nor about too many requests.
pub(crate) async fn get(
    dialect: &Dialect,
    http: &Http,
    url: &Url,
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
    send(dialect.account, http, request.body(Vec::new())).await
}

/// As [`get`], for a request that was made otherwise.
pub(crate) async fn send(
    account: AccountType,
    http: &Http,
    request: Result<Request<Vec<u8>>, http::Error>,
) -> Result<Response<Vec<u8>>, ApiError> {
    let request = request.map_err(|error| unavailable(account, CallError::NotSent(error.into())))?;
    let answer = http.send(request).await.map_err(|error| unavailable(account, error))?;
    if let Some(Throttle { wait, pause }) = throttle::asked(&answer) {
        return Err(ApiError::Throttled { account, wait, pause });
    }
    match answer.status() {
        StatusCode::UNAUTHORIZED => Err(ApiError::Refused(account)),
        _ => Ok(answer),
    }
}

/// What a 200 says; any other status is no usable answer.
pub(crate) fn read<T: DeserializeOwned>(account: AccountType, answer: &Response<Vec<u8>>) -> Result<T, ApiError> {
    match answer.status() {
        StatusCode::OK => foreign::read(answer.body()).ok_or_else(|| unavailable(account, CallError::Unreadable)),
        status => Err(unavailable(account, CallError::Status(status))),
    }
}

/// The size of the next page to ask for, where one of this size was larger than is read: texts of strangers may be long.
///
/// # Errors
/// The error itself, where it says something else, or the page had the least size already.
pub(crate) fn smaller_page(size: usize, least: usize, error: ApiError) -> Result<usize, ApiError> {
    if size > least && is_too_large(&error) {
        Ok((size / 5).max(least))
    } else {
        Err(error)
    }
}

/// Whether the answer was larger than is read.
pub(crate) fn is_too_large(error: &ApiError) -> bool {
    let ApiError::Unavailable(_, cause) = error else {
        return false;
    };
    matches!(cause.downcast_ref(), Some(CallError::TooLarge))
}

fn unavailable(account: AccountType, error: CallError) -> ApiError {
    ApiError::Unavailable(account, error.into())
}
