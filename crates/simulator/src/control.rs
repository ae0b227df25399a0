//! The controls over HTTP, for tests that have the simulator in another process: JSON in, JSON out, under `/_control`.
//! [`CONTROLS`] describes them; docs/platforms.md has the same table.

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

/// Control, as the index page describes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Control {
    /// Method and path below `/_control`.
    pub(crate) request: &'static str,
    /// Example of a body; empty if it has none.
    pub(crate) body: &'static str,
    pub(crate) effect: &'static str,
}

/// All controls, in the order of docs/platforms.md.
pub(crate) const CONTROLS: [Control; 14] = [
    Control {
        request: "GET /state",
        body: "",
        effect: "Requests, exchanges, revocations, refreshes, valid tokens and grants, waiting faults, blocked requests.",
    },
    Control {
        request: "POST /github/notifications",
        body: r#"{"login": "ada", "title": "Look at this"}"#,
        effect: "Adds a notification to the account's inbox at GitHub.",
    },
    Control {
        request: "POST /x_twitter/posts",
        body: r#"{"login": "ada", "kind": "reply"}"#,
        effect: "Adds a mention, a reply or a direct message to the account at X.",
    },
    Control {
        request: "POST /discord/messages",
        body: r#"{"mentions": ["ada"]}"#,
        effect: "Posts a message in the guild of Discord's bot.",
    },
    Control {
        request: "POST /telegram/messages",
        body: r#"{"mentions": ["ada"]}"#,
        effect: "Posts a message in a group of Telegram's bot.",
    },
    Control {
        request: "POST /deauthorize",
        body: r#"{"platform": "github", "login": "ada"}"#,
        effect: "The user withdraws access in the platform's settings: every token of the account ends.",
    },
    Control {
        request: "POST /expire",
        body: r#"{"platform": "discord", "login": "ada"}"#,
        effect: "Expires the account's access tokens; its refresh tokens stay valid.",
    },
    Control {
        request: "POST /lifetime",
        body: r#"{"platform": "discord", "seconds": 5}"#,
        effect: "Sets the lifetime of new access tokens.",
    },
    Control {
        request: "POST /github/expiring_tokens",
        body: "",
        effect: "New tokens of GitHub expire after 8 hours and can be refreshed, as those of a GitHub App.",
    },
    Control {
        request: "POST /test_codes",
        body: r#"{"single_use": true}"#,
        effect: "Sets whether a code test_code_<login> can be used once, or always.",
    },
    Control {
        request: "POST /faults",
        body: r#"{"platform": "github", "route": "token", "kind": "latency", "milliseconds": 5000}"#,
        effect: "Adds a fault, which waits for its request behind earlier ones.",
    },
    Control {
        request: "DELETE /faults",
        body: "",
        effect: "Removes the waiting faults; blocked requests stay blocked.",
    },
    Control {
        request: "POST /release",
        body: "",
        effect: "Answers the blocked requests.",
    },
    Control {
        request: "POST /response_format",
        body: r#"{"platform": "github", "texts": "nul", "numbers": "float"}"#,
        effect: "Sets how the platform writes texts of users and numbers.",
    },
];

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
