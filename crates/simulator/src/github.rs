//! GitHub, as seen by an OAuth App: github.com's OAuth pages under `/login/oauth`, api.github.com under `/api`.
//!
//! The behaviour is that of GitHub's REST and OAuth App documentation; where the documentation is silent, a comment names the
//! choice.

mod admission;
mod authorize;
mod notifications;
mod profile;
mod revoke;
mod token;

use axum::{
    Json, Router,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use http::StatusCode;
use serde_json::json;

use crate::{
    avatar, clock,
    fault::Limit,
    middleware::Middleware,
    platform::{Platform, Route},
    rate_limit::RateUsage,
    world::World,
};

/// Routes of GitHub's pages and API.
pub(crate) fn routes(world: &World) -> Router<World> {
    let person = from_fn_with_state(world.clone(), admission::person);
    let application = from_fn_with_state(world.clone(), admission::application);
    let middleware = Middleware::new(world, Platform::Github, throttled);
    let at = |route, work| middleware.wrap(route, work);
    Router::new()
        .route(
            "/login/oauth/authorize",
            at(Route::Authorize, authorize::ENDPOINT.methods()),
        )
        .route("/avatars/{id}", avatar::route())
        .route("/login/oauth/access_token", at(Route::Token, post(token::exchange)))
        .route(
            "/api/user",
            at(Route::Profile, get(profile::profile).route_layer(person.clone())),
        )
        .route(
            "/api/notifications",
            at(Route::Notifications, get(notifications::list).route_layer(person)),
        )
        .route(
            "/api/applications/{client_id}/grant",
            at(Route::Revoke, delete(revoke::grant).route_layer(application.clone())),
        )
        .route(
            "/api/applications/{client_id}/token",
            at(Route::Revoke, delete(revoke::token).route_layer(application)),
        )
        .fallback(async || problem(StatusCode::NOT_FOUND, "Not Found"))
}

/// GitHub's answer to a rate limit: 403 for both kinds, distinguished by the headers.
fn throttled(limit: Limit, seconds: u32) -> Response {
    let usage = RateUsage::simulated(limit, seconds, clock::now());
    let mut answer = match limit {
        Limit::Primary => problem(StatusCode::FORBIDDEN, "API rate limit exceeded for user ID 1."),
        Limit::Secondary => {
            let message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
            let mut answer = problem(StatusCode::FORBIDDEN, message);
            answer.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
            answer
        }
    };
    usage.write(answer.headers_mut());
    answer
}

/// Error of the API.
fn problem(status: StatusCode, message: &str) -> Response {
    let body = json!({
        "message": message,
        "documentation_url": "https://docs.github.com/rest",
        "status": status.as_str(),
    });
    (status, Json(body)).into_response()
}
