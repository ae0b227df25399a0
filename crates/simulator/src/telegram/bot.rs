//! Bot API, below `/bot<token>`: updates of a bot by `getUpdates`.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{chat::BOT_TOKEN, world::World};

/// Parameters of `getUpdates`.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct UpdatesQuery {
    offset: Option<i64>,
    limit: usize,
    timeout: u64,
}

impl Default for UpdatesQuery {
    fn default() -> Self {
        Self {
            offset: None,
            limit: 100,
            timeout: 0,
        }
    }
}

pub(super) async fn get_updates(
    State(world): State<World>,
    Path(bot): Path<String>,
    Json(parameters): Json<UpdatesQuery>,
) -> Response {
    if bot.strip_prefix("bot") != Some(BOT_TOKEN) {
        return failed(StatusCode::UNAUTHORIZED, "Unauthorized");
    }
    let request = {
        let updates = &mut world.lock().telegram;
        if let Some(offset) = parameters.offset {
            updates.pending.retain(|id, _| *id >= offset);
        }
        updates.requests += 1;
        updates.requests
    };
    let until = Instant::now() + Duration::from_secs(parameters.timeout);
    loop {
        {
            let updates = &world.lock().telegram;
            if updates.requests != request {
                let why =
                    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
                return failed(StatusCode::CONFLICT, why);
            }
            let result: Vec<&Value> = updates.pending.values().take(parameters.limit).collect();
            if !result.is_empty() || Instant::now() >= until {
                return Json(json!({ "ok": true, "result": result })).into_response();
            }
        }
        sleep(POLL_INTERVAL).await;
    }
}

fn failed(status: StatusCode, description: &str) -> Response {
    let body = json!({ "ok": false, "error_code": status.as_u16(), "description": description });
    (status, Json(body)).into_response()
}

/// Maximum delay of a new update to a waiting request.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
