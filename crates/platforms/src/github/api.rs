//! Calls of GitHub's REST API, and the meaning of its answers.

use std::time::Duration;

use http::request::Builder;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use protocol::account::AccountType::Github;
use protocol::secret::Secret;
use serde::Deserialize;
use url::Url;

use crate::api;
use crate::http::{CallError, Http};
use crate::platform::{ApiError, Profile, RevokeError, RevokeOutcome};
use crate::rate_limit::{self, Throttle};
use crate::route::{Route, below};
use crate::untrusted::{Id, lenient_list};

use super::cursor::{Cursor, Page};
use super::notifications::Thread;

/// Result of listing the inbox.
pub(super) struct InboxResponse {
    /// Page; none if nothing has changed.
    pub(super) page: Option<Page>,
    /// Time after which GitHub welcomes the next poll.
    pub(super) next_poll: Option<Duration>,
}

/// GitHub's API.
#[derive(Debug, Clone, Copy)]
pub(super) struct Api<'a> {
    pub(super) http: &'a Http,
    pub(super) url: &'a Url,
}

impl Api<'_> {
    /// Owner of the token, and the scopes that GitHub reports for it.
    pub(super) async fn user(self, token: &Secret) -> Result<(Profile, Option<Vec<String>>), ApiError> {
        #[derive(Deserialize)]
        struct User {
            id: Id,
            login: String,
            name: Option<String>,
            avatar_url: Option<String>,
        }
        let request = request(Method::GET, &USER.below(self.url)).header(header::AUTHORIZATION, bearer(token));
        let answer = self.call(USER, request).await?;
        let user: User = api::read(Github, &answer)?;
        let profile = Profile {
            platform_user_id: user.id.into(),
            username: user.login,
            display_name: user.name,
            avatar_url: user.avatar_url,
        };
        Ok((profile, scopes(answer.headers())))
    }

    /// Page of the inbox that the cursor asks for; a smaller one if the titles are long.
    pub(super) async fn notifications(self, token: &Secret, cursor: &Cursor) -> Result<InboxResponse, ApiError> {
        let mut size = PAGE_SIZE;
        loop {
            match self.page(token, cursor, size).await {
                Err(error) => size = api::smaller_page(size, 1, error)?,
                response => return response,
            }
        }
    }

    async fn page(self, token: &Secret, cursor: &Cursor, size: usize) -> Result<InboxResponse, ApiError> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Threads(#[serde(deserialize_with = "lenient_list")] Vec<Thread>);

        let mut url = NOTIFICATIONS.below(self.url);
        url.query_pairs_mut()
            .append_pair("per_page", &size.to_string())
            .extend_pairs(cursor.before().map(|time| ("before", time)));
        let mut request = request(Method::GET, &url).header(header::AUTHORIZATION, bearer(token));
        if let Some(validator) = cursor.validator() {
            request = request.header(header::IF_MODIFIED_SINCE, validator);
        }
        let answer = self.call(NOTIFICATIONS, request).await?;
        let next_poll = text(answer.headers(), "x-poll-interval").and_then(|seconds| seconds.parse().ok());
        let next_poll = next_poll.map(|seconds| Duration::from_secs(seconds).min(MAX_POLL_INTERVAL));
        if answer.status() == StatusCode::NOT_MODIFIED {
            return Ok(InboxResponse { page: None, next_poll });
        }
        let Threads(threads) = api::read(Github, &answer)?;
        let page = Page {
            threads,
            validator: text(answer.headers(), header::LAST_MODIFIED.as_str()).map(str::to_owned),
            has_older: text(answer.headers(), header::LINK.as_str()).is_some_and(|link| link.contains("rel=\"next\"")),
        };
        Ok(InboxResponse {
            page: Some(page),
            next_poll,
        })
    }

    /// URL of the API.
    pub(super) fn path(self, segments: &[&str]) -> Url {
        below(self.url, segments)
    }

    async fn call(self, route: Route, request: Builder) -> Result<Response<Vec<u8>>, ApiError> {
        api::send(route, self.http, request.body(Vec::new())).await
    }
}

const USER: Route = Route::new(Github, "/user");
const NOTIFICATIONS: Route = Route::new(Github, "/notifications");

/// Largest page that GitHub returns.
const PAGE_SIZE: usize = 50;
/// Longest pause, as for a throttle: a wrong header must not stop a link for good.
const MAX_POLL_INTERVAL: Duration = Duration::from_hours(24);

/// Sends a revocation and reads its outcome.
pub(super) async fn revoke(
    http: &Http,
    template: &'static str,
    request: http::Result<Request<Vec<u8>>>,
) -> Result<RevokeOutcome, RevokeError> {
    let unavailable = |error: CallError| RevokeError::Unavailable(Github, error.into());
    let request = request.map_err(|error| unavailable(CallError::NotSent(error.into())))?;
    let answer = http.send(Route::new(Github, template), request).await;
    let answer = answer.map_err(unavailable)?;
    if let Some(Throttle { wait, pause }) = rate_limit::of_answer(&answer) {
        return Err(RevokeError::Throttled {
            account: Github,
            wait,
            pause,
        });
    }
    match answer.status() {
        StatusCode::NO_CONTENT => Ok(RevokeOutcome::Ended),
        // 404 for an access token that has ended, 422 for anything that is no access token.
        StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => Ok(RevokeOutcome::UnknownToken),
        status => Err(unavailable(CallError::Status(status))),
    }
}

/// Request with the headers that every call has.
pub(super) fn request(method: Method, url: &Url) -> Builder {
    Request::builder()
        .method(method)
        .uri(url.as_str())
        .header(header::ACCEPT, "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28")
}

fn bearer(token: &Secret) -> String {
    format!("Bearer {}", token.expose())
}

fn scopes(headers: &HeaderMap) -> Option<Vec<String>> {
    let mut scopes: Vec<String> = text(headers, "x-oauth-scopes")?
        .split(',')
        .map(|scope| scope.trim().to_owned())
        .filter(|scope| !scope.is_empty())
        .collect();
    scopes.sort();
    Some(scopes)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
