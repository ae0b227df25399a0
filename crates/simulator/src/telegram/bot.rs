//! The Bot API, below `/bot<token>`: what a bot receives, by `getUpdates`.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use time::UtcDateTime;
use tokio::time::{Instant, sleep};

use crate::{
    account::Account,
    chat::{BOT_TOKEN, NewMessage},
    world::World,
};

/// The updates that were not confirmed yet.
#[derive(Debug, Default)]
pub(crate) struct Updates {
    last: i64,
    pending: BTreeMap<i64, Value>,
    /// How often they were asked for: only the last one to ask is answered.
    asked: u64,
}

impl Updates {
    /// Somebody writes; gives the id of the update.
    pub(crate) fn put(&mut self, message: &NewMessage, at: UtcDateTime) -> i64 {
        self.last += 1;
        let id = self.last;
        let length = message.text.encode_utf16().count();
        let mention =
            |login: &String| json!({ "type": "text_mention", "offset": 0, "length": length, "user": user(login) });
        let mentions: Vec<Value> = message.mentions.iter().map(mention).collect();
        let channel = i64::from(Account::named(&message.channel).id);
        let mut sent = json!({
            "message_id": id,
            "chat": { "id": -channel, "type": "group", "title": message.channel },
            "from": user(&message.author),
            "date": at.unix_timestamp(),
            "text": message.text,
            "entities": mentions,
        });
        if let (Some(answered), Some(fields)) = (&message.reply_to, sent.as_object_mut()) {
            let answered = json!({ "message_id": 0, "from": user(answered), "date": 0, "text": "?" });
            fields.insert("reply_to_message".to_owned(), answered);
        }
        self.pending.insert(id, json!({ "update_id": id, "message": sent }));
        id
    }
}

fn user(login: &str) -> Value {
    let account = Account::named(login);
    json!({ "id": account.id, "is_bot": false, "first_name": account.name, "username": account.login })
}

/// What `getUpdates` is asked.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    offset: Option<i64>,
    limit: usize,
    timeout: u64,
}

impl Default for Asked {
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
    Json(asked): Json<Asked>,
) -> Response {
    if bot.strip_prefix("bot") != Some(BOT_TOKEN) {
        return failed(StatusCode::UNAUTHORIZED, "Unauthorized");
    }
    let turn = {
        let updates = &mut world.lock().telegram;
        if let Some(offset) = asked.offset {
            updates.pending.retain(|id, _| *id >= offset);
        }
        updates.asked += 1;
        updates.asked
    };
    let until = Instant::now() + Duration::from_secs(asked.timeout);
    loop {
        {
            let updates = &world.lock().telegram;
            if updates.asked != turn {
                let why =
                    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
                return failed(StatusCode::CONFLICT, why);
            }
            let result: Vec<&Value> = updates.pending.values().take(asked.limit).collect();
            if !result.is_empty() || Instant::now() >= until {
                return Json(json!({ "ok": true, "result": result })).into_response();
            }
        }
        sleep(LOOK_AGAIN).await;
    }
}

fn failed(status: StatusCode, description: &str) -> Response {
    let body = json!({ "ok": false, "error_code": status.as_u16(), "description": description });
    (status, Json(body)).into_response()
}

/// How soon after its coming an update reaches who waits for it.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
