//! X, as seen by a confidential client: api.x.com under `/2`.
//!
//! The behaviour is that of X's developer documentation; single-use refresh tokens and the end of the family at a reuse are what
//! clients report.

mod timeline;

use axum::{
    Json, Router,
    extract::{Query, Request, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::json;
use time::Duration;

use crate::{
    account::Account,
    authorize::{AuthorizeEndpoint, space_separated},
    avatar, clock,
    fault::Limit,
    grant::{Renewal, Terms, Token},
    ledger::{Extent, Revocation},
    middleware::Middleware,
    oauth::{self, RefusedToken},
    platform::{Platform, Route},
    world::World,
};

const TERMS: Terms = Terms {
    platform: Platform::XTwitter,
    token_prefix: "",
    refresh_prefix: "",
    code_lifetime: Duration::seconds(30),
    access_lifetime: Some(Duration::hours(2)),
    renewal: Renewal::With("offline.access"),
    test_scopes: &["dm.read", "offline.access", "tweet.read", "users.read"],
};

/// Both parameters of PKCE are required.
const AUTHORIZE: AuthorizeEndpoint = AuthorizeEndpoint {
    terms: &TERMS,
    max_state_length: 500,
    requires_challenge: true,
    unknown_client: StatusCode::BAD_REQUEST,
    granted: space_separated,
    denied: &[("error", "access_denied")],
    invalid_challenge: &[("error", "invalid_request")],
    issuer: None,
};

/// Routes of the token endpoints and the API.
pub(crate) fn routes(world: &World) -> Router<World> {
    let middleware = Middleware::new(world, Platform::XTwitter, throttled);
    let at = |route, work| middleware.wrap(route, work);
    Router::new()
        .route("/i/oauth2/authorize", at(Route::Authorize, AUTHORIZE.methods()))
        .route("/avatars/{id}", avatar::route())
        .route("/2/oauth2/token", at(Route::Token, post(token)))
        .route("/2/oauth2/revoke", at(Route::Revoke, post(revoke)))
        .route("/2/users/me", at(Route::Profile, get(me)))
        .route(
            "/2/users/{id}/mentions",
            at(Route::Notifications, get(timeline::mentions)),
        )
        .route("/2/dm_events", at(Route::Notifications, get(timeline::messages)))
        .fallback(async || problem(StatusCode::NOT_FOUND, "Not Found"))
}

/// X's answer to a rate limit, with its end in epoch seconds and no seconds to wait.
fn throttled(limit: Limit, seconds: u32) -> Response {
    let now = clock::now().unix_timestamp();
    let end = HeaderValue::from(now + i64::from(seconds));
    let mut answer = problem(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests");
    let headers = answer.headers_mut();
    headers.insert("x-rate-limit-limit", 300.into());
    match limit {
        Limit::Primary => {
            headers.insert("x-rate-limit-remaining", 0.into());
            headers.insert("x-rate-limit-reset", end);
        }
        // The window has capacity left; the daily allowance is used up.
        Limit::Secondary => {
            headers.insert("x-rate-limit-remaining", 299.into());
            headers.insert("x-rate-limit-reset", (now + 900).into());
            headers.insert("x-user-limit-24hour-limit", 25.into());
            headers.insert("x-user-limit-24hour-remaining", 0.into());
            headers.insert("x-user-limit-24hour-reset", end);
        }
    }
    answer
}

async fn token(State(world): State<World>, request: Request) -> Response {
    let Some((headers, parameters)) = oauth::read(request).await else {
        return refused("Only application/x-www-form-urlencoded is accepted.");
    };
    if !oauth::by_basic(&headers) {
        return unauthorized();
    }
    match oauth::grant(&world, &TERMS, &parameters) {
        Ok(token) => Json(oauth::issued(&token, "bearer")).into_response(),
        Err(RefusedToken::Code) => refused("Value passed for the authorization code was invalid."),
        Err(RefusedToken::RedirectUri) => {
            refused("Value passed for the redirect uri did not match the uri of the authorization code.")
        }
        Err(RefusedToken::RefreshToken) => refused("Value passed for the token was invalid."),
        Err(RefusedToken::GrantType) => refused("Missing required parameter [grant_type]."),
    }
}

/// Ends the token of the request alone.
async fn revoke(State(world): State<World>, request: Request) -> Response {
    let Some((headers, parameters)) = oauth::read(request).await else {
        return refused("Only application/x-www-form-urlencoded is accepted.");
    };
    if !oauth::by_basic(&headers) {
        return unauthorized();
    }
    let mut state = world.lock();
    let login = state
        .grants
        .either(Platform::XTwitter, &parameters.token)
        .map(|token| token.login.clone());
    state.grants.revoke_refresh_token(Platform::XTwitter, &parameters.token);
    state
        .grants
        .revoke_access_token(Platform::XTwitter, &parameters.token, clock::now());
    let answer = match login {
        Some(_) => Json(json!({ "revoked": true })).into_response(),
        None => refused("Value passed for the token was invalid."),
    };
    state.ledger.revocations.push(Revocation {
        platform: Platform::XTwitter,
        extent: Extent::Token,
        access_token: parameters.token,
        login,
    });
    answer
}

async fn me(State(world): State<World>, Query(wanted): Query<UserQuery>, headers: HeaderMap) -> Response {
    let token = match allowed(&world, &headers, &[]) {
        Ok(token) => token,
        Err(status) => return refusal(status),
    };
    let account = Account::named(&token.login);
    let mut user = json!({ "id": account.snowflake(), "name": account.name, "username": account.login });
    let wants_picture = wanted.fields.split(',').any(|field| field == PICTURE);
    if let Some(fields) = user.as_object_mut().filter(|_| wants_picture) {
        let avatar = account.avatar_path(Platform::XTwitter);
        fields.insert(PICTURE.to_owned(), format!("{}{avatar}", world.base()).into());
    }
    Json(json!({ "data": user })).into_response()
}

/// Query of a user: fields beyond the usual ones.
#[derive(Debug, Deserialize)]
struct UserQuery {
    #[serde(default, rename = "user.fields")]
    fields: String,
}

/// Field with the URL of the picture.
const PICTURE: &str = "profile_image_url";

/// Valid token with these scopes and the two that every route requires, as documented.
fn allowed(world: &World, headers: &HeaderMap, scopes: &[&str]) -> Result<Token, StatusCode> {
    let Some(token) = oauth::bearer(world, &TERMS, headers) else {
        return Err(StatusCode::UNAUTHORIZED);
    };
    let mut wanted = ["tweet.read", "users.read"].iter().chain(scopes);
    if wanted.all(|&scope| token.scopes.contains(scope)) {
        Ok(token)
    } else {
        Err(StatusCode::FORBIDDEN)
    }
}

fn unauthorized() -> Response {
    let body = json!({ "error": "unauthorized_client", "error_description": "Missing valid authorization header" });
    (StatusCode::UNAUTHORIZED, Json(body)).into_response()
}

/// Error of the token endpoint: X has one for all causes.
fn refused(description: &str) -> Response {
    let body = json!({ "error": "invalid_request", "error_description": description });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// Error for a token without access.
fn refusal(status: StatusCode) -> Response {
    problem(status, status.canonical_reason().unwrap_or_default())
}

/// Error of the API.
fn problem(status: StatusCode, title: &str) -> Response {
    let body = json!({ "title": title, "type": "about:blank", "status": status.as_u16(), "detail": title });
    (status, Json(body)).into_response()
}
