//! API of the one guild that the application's bot is in.

use axum::{
    Json,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{has_documented_user_agent, problem};
use crate::{chat::BOT_TOKEN, inboxes::discord::GUILD, world::World};

pub(super) async fn guilds(Query(query): Query<ListQuery>, headers: HeaderMap) -> Response {
    allowed(&headers, || {
        let guilds = [GUILD]
            .into_iter()
            .filter(|id| query.after.is_none_or(|after| after < *id));
        let guilds: Vec<Value> = guilds
            .map(|id| json!({ "id": id.to_string(), "name": "Simulated" }))
            .collect();
        Json(guilds).into_response()
    })
}

pub(super) async fn channels(State(world): State<World>, Path(guild): Path<u64>, headers: HeaderMap) -> Response {
    allowed(&headers, || {
        if guild != GUILD {
            return problem(StatusCode::NOT_FOUND, "Unknown Guild");
        }
        let world = world.lock();
        let shown = world.guild.channels.iter().map(|(id, channel)| {
            json!({
                "id": id.to_string(),
                "type": 0,
                "name": channel.name,
                "last_message_id": channel.messages.keys().next_back().map(ToString::to_string),
            })
        });
        Json(shown.collect::<Vec<_>>()).into_response()
    })
}

/// Messages after an id, newest first.
pub(super) async fn messages(
    State(world): State<World>,
    Path(channel): Path<u64>,
    Query(query): Query<ListQuery>,
    headers: HeaderMap,
) -> Response {
    allowed(&headers, || {
        let world = world.lock();
        let Some(channel) = world.guild.channels.get(&channel) else {
            return problem(StatusCode::NOT_FOUND, "Unknown Channel");
        };
        let limit = query.limit.unwrap_or(50);
        if !(1..=100).contains(&limit) {
            return problem(StatusCode::BAD_REQUEST, "Invalid Form Body");
        }
        let after = query.after.unwrap_or_default();
        let mut shown: Vec<&Value> = channel
            .messages
            .range(after + 1..)
            .map(|(_, it)| it)
            .take(limit)
            .collect();
        shown.reverse();
        Json(shown).into_response()
    })
}

/// Query of a list.
#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    after: Option<u64>,
    limit: Option<usize>,
}

/// Answers the bot only.
fn allowed(headers: &HeaderMap, answer: impl FnOnce() -> Response) -> Response {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !has_documented_user_agent(headers) {
        (StatusCode::FORBIDDEN, "error code: 1010").into_response()
    } else if authorization.and_then(|text| text.strip_prefix("Bot ")) == Some(BOT_TOKEN) {
        answer()
    } else {
        problem(StatusCode::UNAUTHORIZED, "401: Unauthorized")
    }
}
