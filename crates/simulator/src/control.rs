//! The controls over HTTP, for tests that have the simulator in another process: JSON in, JSON out, under `/_control`.
//!
//! | request | body | answer |
//! | --- | --- | --- |
//! | `GET /state` | | [`Snapshot`](crate::Snapshot) |
//! | `POST /faults` | [`Fault`] | |
//! | `DELETE /faults` | | |
//! | `POST /response_format` | `{"platform": "github", "texts": "nul", "numbers": "float", "urlencoded_tokens": true}`, see [`ResponseFormat`] | |
//! | `POST /release` | | `{"released": 1}` |
//! | `POST /test_codes` | `{"single_use": true}` | |
//! | `POST /deauthorize` | `{"platform": "github", "login": "ada"}` | `{"tokens": 1}` |
//! | `POST /lifetime` | `{"platform": "discord", "seconds": 5}` | |
//! | `POST /github/expiring_tokens` | | |
//! | `POST /expire` | `{"platform": "discord", "login": "ada"}` | `{"tokens": 1}` |
//! | `POST /x_twitter/posts` | [`NewPost`] | `{"id": 9}` |
//! | `POST /discord/messages` | [`NewMessage`] | `{"id": 9}` |
//! | `POST /telegram/messages` | [`NewMessage`] | `{"id": 9}` |
//! | `POST /github/notifications` | [`NewNotification`] | [`Issued`](crate::Issued) |

use std::time::Duration;

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    chat::NewMessage,
    fault::Fault,
    handle::Handle,
    inboxes::{github::NewNotification, x_twitter::NewPost},
    platform::Platform,
    response_format::ResponseFormat,
    world::World,
};

pub(crate) fn routes() -> Router<World> {
    Router::new()
        .route("/state", get(state))
        .route("/faults", post(set_fault).delete(clear_faults))
        .route("/response_format", post(set_response_format))
        .route("/release", post(release))
        .route("/test_codes", post(test_codes))
        .route("/deauthorize", post(deauthorize))
        .route("/lifetime", post(lifetime))
        .route("/expire", post(expire))
        .route("/github/notifications", post(notify))
        .route("/github/expiring_tokens", post(expiring_github_tokens))
        .route("/x_twitter/posts", post(post_at_x))
        .route("/discord/messages", post(post_to_discord))
        .route("/telegram/messages", post(post_to_telegram))
}

async fn state(State(world): State<World>) -> Response {
    Json(Handle::new(world).snapshot()).into_response()
}

async fn set_fault(State(world): State<World>, Json(fault): Json<Fault>) -> StatusCode {
    Handle::new(world).fault(fault);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(world): State<World>) -> StatusCode {
    Handle::new(world).clear_faults();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct FormatRequest {
    platform: Platform,
    #[serde(flatten)]
    response_format: ResponseFormat,
}

async fn set_response_format(State(world): State<World>, Json(request): Json<FormatRequest>) -> StatusCode {
    Handle::new(world).set_response_format(request.platform, request.response_format);
    StatusCode::NO_CONTENT
}

async fn release(State(world): State<World>) -> Response {
    Json(json!({ "released": Handle::new(world).release() })).into_response()
}

#[derive(Deserialize)]
struct TestCodes {
    single_use: bool,
}

async fn test_codes(State(world): State<World>, Json(wanted): Json<TestCodes>) -> StatusCode {
    Handle::new(world).single_use_test_codes(wanted.single_use);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Lifetime {
    platform: Platform,
    seconds: u64,
}

async fn lifetime(State(world): State<World>, Json(of): Json<Lifetime>) -> StatusCode {
    Handle::new(world).lifetime(of.platform, Duration::from_secs(of.seconds));
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Account {
    platform: Platform,
    login: String,
}

async fn deauthorize(State(world): State<World>, Json(of): Json<Account>) -> Response {
    Json(json!({ "tokens": Handle::new(world).deauthorize(of.platform, &of.login) })).into_response()
}

async fn expire(State(world): State<World>, Json(of): Json<Account>) -> Response {
    Json(json!({ "tokens": Handle::new(world).expire(of.platform, &of.login) })).into_response()
}

async fn expiring_github_tokens(State(world): State<World>) -> StatusCode {
    Handle::new(world).expiring_github_tokens();
    StatusCode::NO_CONTENT
}

async fn notify(State(world): State<World>, Json(notification): Json<NewNotification>) -> Response {
    (StatusCode::CREATED, Json(Handle::new(world).notify(notification))).into_response()
}

async fn post_at_x(State(world): State<World>, Json(post): Json<NewPost>) -> Response {
    created(Handle::new(world).post(post))
}

async fn post_to_discord(State(world): State<World>, Json(message): Json<NewMessage>) -> Response {
    created(Handle::new(world).post_to_discord(&message))
}

async fn post_to_telegram(State(world): State<World>, Json(message): Json<NewMessage>) -> Response {
    created(Handle::new(world).post_to_telegram(&message))
}

fn created(id: impl Serialize) -> Response {
    (StatusCode::CREATED, Json(json!({ "id": id }))).into_response()
}
