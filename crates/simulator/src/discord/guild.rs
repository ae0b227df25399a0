//! The one guild that the application's bot is in, and its channels.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use time::{UtcDateTime, format_description::well_known::Rfc3339};

use super::{is_named, problem, profile};
use crate::{
    chat::{BOT_TOKEN, NewMessage},
    world::World,
};

/// The channels, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Guild {
    channels: BTreeMap<u64, Channel>,
    /// Ids are given in the order in which things come to be.
    last: u64,
}

#[derive(Debug)]
struct Channel {
    name: String,
    messages: BTreeMap<u64, Value>,
}

impl Guild {
    /// Somebody writes; gives the message's id.
    pub(crate) fn put(&mut self, message: &NewMessage, at: UtcDateTime) -> u64 {
        let known = self
            .channels
            .iter()
            .find(|(_, channel)| channel.name == message.channel);
        let channel = match known.map(|(id, _)| *id) {
            Some(id) => id,
            None => self.open(&message.channel),
        };
        let id = self.next();
        let users = |logins: &[String]| logins.iter().map(|login| profile(login)).collect::<Vec<_>>();
        let answered = message.reply_to.as_deref();
        let sent = json!({
            "id": id.to_string(),
            "channel_id": channel.to_string(),
            "type": if answered.is_some() { 19 } else { 0 },
            "content": message.text,
            "author": profile(&message.author),
            "mentions": users(&message.mentions),
            "mention_roles": [],
            "mention_everyone": false,
            "timestamp": at.format(&Rfc3339).unwrap_or_default(),
            "referenced_message": answered.map(|login| json!({ "id": "1", "author": profile(login) })),
        });
        if let Some(channel) = self.channels.get_mut(&channel) {
            channel.messages.insert(id, sent);
        }
        id
    }

    fn open(&mut self, name: &str) -> u64 {
        let id = self.next();
        let channel = Channel {
            name: name.to_owned(),
            messages: BTreeMap::new(),
        };
        self.channels.insert(id, channel);
        id
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        GUILD + self.last
    }
}

pub(super) async fn guilds(Query(wanted): Query<Wanted>, headers: HeaderMap) -> Response {
    allowed(&headers, || {
        let guilds = [GUILD]
            .into_iter()
            .filter(|id| wanted.after.is_none_or(|after| after < *id));
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

/// Those right after one, newest first.
pub(super) async fn messages(
    State(world): State<World>,
    Path(channel): Path<u64>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    allowed(&headers, || {
        let world = world.lock();
        let Some(channel) = world.guild.channels.get(&channel) else {
            return problem(StatusCode::NOT_FOUND, "Unknown Channel");
        };
        let limit = wanted.limit.unwrap_or(50);
        if !(1..=100).contains(&limit) {
            return problem(StatusCode::BAD_REQUEST, "Invalid Form Body");
        }
        let after = wanted.after.unwrap_or_default();
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

/// What a list is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    after: Option<u64>,
    limit: Option<usize>,
}

/// Answers the bot, and nobody else.
fn allowed(headers: &HeaderMap, answer: impl FnOnce() -> Response) -> Response {
    let said = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !is_named(headers) {
        (StatusCode::FORBIDDEN, "error code: 1010").into_response()
    } else if said.and_then(|text| text.strip_prefix("Bot ")) == Some(BOT_TOKEN) {
        answer()
    } else {
        problem(StatusCode::UNAUTHORIZED, "401: Unauthorized")
    }
}

const GUILD: u64 = 1_100_000_000_000_000_000;
