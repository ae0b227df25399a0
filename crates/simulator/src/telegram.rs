//! Telegram, as an OpenID provider with its pages and its published keys, its Login Widget, and its Bot API; under `/telegram`.
//!
//! Telegram's documentation is brief. Where it is silent, the behaviour follows OpenID Connect Core 1.0 and the observations of
//! public clients: the nonce is not echoed, and the user is `id` and not `sub`.

pub(crate) mod bot;
mod id_token;
mod token;
mod widget;

use axum::{
    Form, Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    authorize::{AuthorizeEndpoint, space_separated},
    avatar,
    consent::{AuthorizeCall, ConsentSubmission},
    fault::Limit,
    middleware::Middleware,
    platform::{Platform, Route},
    world::World,
};

/// Routes of Telegram.
pub(crate) fn routes(world: &World) -> Router<World> {
    let middleware = Middleware::new(world, Platform::Telegram, throttled);
    let at = |route, work| middleware.wrap(route, work);
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route(
            "/.well-known/jwks.json",
            at(Route::Keys, get(async || Json(id_token::published()))),
        )
        .route("/auth", at(Route::Authorize, get(show).post(decide)))
        .route("/avatars/{id}", avatar::route())
        .route("/token", at(Route::Token, post(token::exchange)))
        .route("/{bot}/getUpdates", at(Route::Notifications, post(bot::get_updates)))
}

/// The limit of a state is undocumented; a client observed this one.
const AUTHORIZE: AuthorizeEndpoint = AuthorizeEndpoint {
    terms: &token::TERMS,
    max_state_length: 64,
    requires_challenge: true,
    unknown_client: StatusCode::BAD_REQUEST,
    granted: space_separated,
    denied: &[("error", "access_denied")],
    invalid_challenge: &[("error", "invalid_request")],
    issuer: None,
};

/// Page of the OpenID provider, or of the Login Widget where the request names a bot.
async fn show(call: AuthorizeCall) -> Response {
    match widget::request(&call) {
        Some(widget) => widget.show(&call),
        None => AUTHORIZE.show(&call),
    }
}

async fn decide(call: AuthorizeCall, Form(form): Form<ConsentSubmission>) -> Response {
    match widget::request(&call) {
        Some(widget) => widget.decide(&call, form),
        None => AUTHORIZE.decide(&call, form),
    }
}

async fn discovery(State(world): State<World>) -> Json<Value> {
    let issuer = issuer(&world);
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "profile", "phone", "telegram:bot_access"],
    }))
}

/// Telegram's "too many requests" (Bot API, `ResponseParameters`).
fn throttled(_limit: Limit, seconds: u32) -> Response {
    let body = json!({
        "ok": false,
        "error_code": 429,
        "description": format!("Too Many Requests: retry after {seconds}"),
        "parameters": { "retry_after": seconds },
    });
    (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response()
}

/// Issuer: the simulator, not the real Telegram.
fn issuer(world: &World) -> String {
    format!("{}/telegram", world.base())
}
