//! Telegram, as an OpenID provider with its pages and its published keys, and its Bot API; under `/telegram`.
//!
//! Telegram's documentation is brief. Where it is silent, the behaviour follows OpenID Connect Core 1.0 and the observations of
//! public clients: the nonce is not echoed, and the user is `id` and not `sub`.

pub(crate) mod bot;
mod id_token;
mod token;

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    authorize::Page,
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
        .route(
            "/auth",
            at(
                Route::Authorize,
                get(async |world, denied, asked| PAGE.click(world, denied, asked)),
            ),
        )
        .route("/token", at(Route::Token, post(token::exchange)))
        .route("/{bot}/getUpdates", at(Route::Notifications, post(bot::get_updates)))
}

/// Page with the limit of a state that a client observed; the limit is undocumented.
const PAGE: Page = Page {
    terms: &token::TERMS,
    max_state_length: 64,
    requires_challenge: true,
};

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
