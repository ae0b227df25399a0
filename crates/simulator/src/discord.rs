//! Discord, as seen by an application's user tokens and its bot: discord.com/api under `/api`.
//!
//! The behaviour is that of Discord's developer documentation. Every error of a code or a refresh token has the same answer.

mod guild;

use axum::{
    Json, Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use time::Duration;

use crate::{
    authorize::{AuthorizeEndpoint, space_separated},
    avatar,
    fault::Limit,
    grant::{CLIENT_ID, Renewal, Terms, Token},
    inboxes::discord::profile,
    ledger::{Extent, Revocation},
    middleware::Middleware,
    oauth::{self, RefusedToken},
    platform::{Platform, Route},
    world::World,
};

const TERMS: Terms = Terms {
    platform: Platform::Discord,
    token_prefix: "",
    refresh_prefix: "",
    // Undocumented; the value that RFC 6749 section 4.1.2 recommends.
    code_lifetime: Duration::minutes(10),
    access_lifetime: Some(Duration::days(7)),
    renewal: Renewal::Always,
    test_scopes: &["identify"],
};

/// No limit of `state` is documented.
const AUTHORIZE: AuthorizeEndpoint = AuthorizeEndpoint {
    terms: &TERMS,
    max_state_length: usize::MAX,
    requires_challenge: false,
    unknown_client: StatusCode::BAD_REQUEST,
    granted: space_separated,
    denied: &[
        ("error", "access_denied"),
        (
            "error_description",
            "The resource owner or authorization server denied the request",
        ),
    ],
    invalid_challenge: &[("error", "invalid_request")],
    issuer: None,
};

/// Routes of the token endpoints and the API.
pub(crate) fn routes(world: &World) -> Router<World> {
    let middleware = Middleware::new(world, Platform::Discord, throttled);
    let at = |route, work| middleware.wrap(route, work);
    Router::new()
        .route("/oauth2/authorize", at(Route::Authorize, AUTHORIZE.methods()))
        .route("/avatars/{id}", avatar::route())
        .route("/api/oauth2/token", at(Route::Token, post(token)))
        .route("/api/oauth2/token/revoke", at(Route::Revoke, post(revoke)))
        .route("/api/v10/users/@me", at(Route::Profile, get(me)))
        .route(
            "/api/v10/users/@me/guilds",
            at(Route::Notifications, get(guild::guilds)),
        )
        .route(
            "/api/v10/guilds/{id}/channels",
            at(Route::Notifications, get(guild::channels)),
        )
        .route(
            "/api/v10/channels/{id}/messages",
            at(Route::Notifications, get(guild::messages)),
        )
        .route("/api/v10/oauth2/@me", at(Route::Profile, get(authorization)))
        .fallback(async || problem(StatusCode::NOT_FOUND, "404: Not Found"))
}

/// Discord's answer to a rate limit: the seconds are in the body, with a fraction.
fn throttled(limit: Limit, seconds: u32) -> Response {
    let (scope, global) = match limit {
        Limit::Primary => ("user", false),
        Limit::Secondary => ("global", true),
    };
    let body = json!({
        "message": "You are being rate limited.",
        "retry_after": f64::from(seconds) - 0.5,
        "global": global,
    });
    let mut answer = (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::RETRY_AFTER, seconds.into());
    headers.insert("x-ratelimit-scope", http::HeaderValue::from_static(scope));
    if global {
        headers.insert("x-ratelimit-global", http::HeaderValue::from_static("true"));
    }
    answer
}

async fn token(State(world): State<World>, request: Request) -> Response {
    let Some((headers, parameters)) = oauth::read(request).await else {
        return refused("invalid_request", "Only application/x-www-form-urlencoded is accepted");
    };
    if !oauth::by_basic(&headers) && !oauth::by_body(&parameters) {
        return invalid_client();
    }
    match oauth::grant(&world, &TERMS, &parameters) {
        Ok(token) => Json(oauth::issued(&token, "Bearer")).into_response(),
        Err(RefusedToken::Code | RefusedToken::RedirectUri) => refused("invalid_grant", "Invalid \"code\" in request."),
        Err(RefusedToken::RefreshToken) => refused("invalid_grant", "Invalid \"refresh_token\" in request."),
        Err(RefusedToken::GrantType) => refused("unsupported_grant_type", "Grant type None is not supported"),
    }
}

/// Revokes the whole grant of a user by any of its tokens.
async fn revoke(State(world): State<World>, request: Request) -> Response {
    let Some((headers, parameters)) = oauth::read(request).await else {
        return refused("invalid_request", "Only application/x-www-form-urlencoded is accepted");
    };
    if !oauth::by_basic(&headers) && !oauth::by_body(&parameters) {
        return invalid_client();
    }
    let mut state = world.lock();
    let login = state
        .grants
        .either(Platform::Discord, &parameters.token)
        .map(|token| token.login.clone());
    if let Some(login) = &login {
        state.grants.revoke_account(Platform::Discord, login);
    }
    state.ledger.revocations.push(Revocation {
        platform: Platform::Discord,
        extent: Extent::Grant,
        access_token: parameters.token,
        login,
    });
    // RFC 7009 section 2.2: a token that has already ended is no error.
    Json(json!({})).into_response()
}

async fn me(State(world): State<World>, headers: HeaderMap) -> Response {
    answer(&world, &headers, user)
}

async fn authorization(State(world): State<World>, headers: HeaderMap) -> Response {
    answer(&world, &headers, |token| {
        json!({
            "application": { "id": CLIENT_ID, "name": "Simulated" },
            "scopes": token.scopes,
            "user": user(token),
        })
    })
}

/// Answers a request with Discord's user agent format and a valid token.
fn answer(world: &World, headers: &HeaderMap, body: impl FnOnce(&Token) -> Value) -> Response {
    if !has_documented_user_agent(headers) {
        return (StatusCode::FORBIDDEN, "error code: 1010").into_response();
    }
    match oauth::bearer(world, &TERMS, headers) {
        Some(token) => Json(body(&token)).into_response(),
        None => problem(StatusCode::UNAUTHORIZED, "401: Unauthorized"),
    }
}

/// Reports whether the user agent has Discord's format.
fn has_documented_user_agent(headers: &HeaderMap) -> bool {
    let named = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    named.is_some_and(|name| name.starts_with("DiscordBot ("))
}

fn user(token: &Token) -> Value {
    profile(&token.login)
}

fn invalid_client() -> Response {
    (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" }))).into_response()
}

fn refused(error: &str, description: &str) -> Response {
    let body = json!({ "error": error, "error_description": description });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// Error of the API.
fn problem(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message, "code": 0 }))).into_response()
}
