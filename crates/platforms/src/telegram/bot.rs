//! Inbox of the bot, by `getUpdates`.
//!
//! Requesting the next update confirms all before it, which Telegram then deletes; and only one request may wait at a time. The
//! token is part of the path, so no URL of this file may be logged.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use http::{Request, header};
use lifecycle::Clock;
use protocol::account::AccountType;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api;
use crate::cursor::stored;
use crate::http::Http;
use crate::inbox::{BotInbox, BotSettings, InboxPage};
use crate::platform::ApiError;
use crate::route::{Route, below};
use crate::settings::InsecureUrl;
use crate::untrusted::lenient_list;
use crate::webhook::Update;

/// Inbox of a bot of api.telegram.org, or of a server with the same API.
pub struct TelegramBot {
    settings: BotSettings,
    http: Http,
    clock: Arc<dyn Clock>,
}

impl TelegramBot {
    /// Bot with this token.
    ///
    /// # Errors
    /// [`InsecureUrl`].
    pub fn new(settings: BotSettings, http: Http, clock: Arc<dyn Clock>) -> Result<Self, InsecureUrl> {
        settings.check()?;
        Ok(Self { settings, http, clock })
    }

    /// Part of the token before the colon, which is no secret.
    fn id(&self) -> &str {
        self.settings.token.expose().split(':').next().unwrap_or_default()
    }

    /// Updates from `offset` on, and whether there may be more; a smaller page if their texts are long.
    async fn updates(&self, offset: Option<i64>) -> Result<(Vec<Update>, bool), ApiError> {
        let mut size = PAGE_SIZE;
        loop {
            match self.page(offset, size).await {
                Err(error) => size = api::smaller_page(size, 1, error)?,
                Ok(updates) => {
                    let more = updates.len() >= size;
                    return Ok((updates, more));
                }
            }
        }
    }

    async fn page(&self, offset: Option<i64>, size: usize) -> Result<Vec<Update>, ApiError> {
        let path = format!("bot{}", self.settings.token.expose());
        let url = below(&self.settings.api_url, [path.as_str(), "getUpdates"]);
        let parameters = json!({
            "offset": offset,
            "limit": size,
            "timeout": LONG_POLL.as_secs(),
            "allowed_updates": ["message"],
        });
        let request = Request::post(url.as_str()).header(header::CONTENT_TYPE, "application/json");
        let request = request.body(parameters.to_string().into_bytes());
        let answer = api::send(GET_UPDATES, &self.http, request).await?;
        let UpdatesAnswer { result } = api::read(ACCOUNT, &answer)?;
        Ok(result)
    }
}

#[async_trait]
impl BotInbox for TelegramBot {
    fn account_type(&self) -> AccountType {
        ACCOUNT
    }

    fn read_every(&self) -> Duration {
        Duration::ZERO
    }

    async fn read(&self, cursor: Option<&Value>) -> Result<InboxPage, ApiError> {
        let now = self.clock.now();
        let cursor: Option<Cursor> = stored(cursor);
        let offset = cursor.filter(|cursor| cursor.is_valid(self.id(), now));
        let (updates, more) = self.updates(offset.map(|cursor| cursor.next)).await?;
        let last = updates.iter().map(|update| update.update_id).max();
        let cursor = last.map(|last| Cursor {
            bot: self.id().to_owned(),
            next: last.saturating_add(1),
            at: seconds(now),
        });
        Ok(InboxPage {
            more,
            cursor: cursor.map(|cursor| json!(cursor)),
            notifications: updates.into_iter().flat_map(Update::notifications).collect(),
        })
    }
}

/// Cursor of the inbox.
#[derive(Debug, Serialize, Deserialize)]
struct Cursor {
    /// Id of the bot: update ids are per bot.
    bot: String,
    /// First update that was not read.
    next: i64,
    /// Time of the last update, in seconds since 1970.
    at: u64,
}

impl Cursor {
    /// Reports whether the cursor is still valid. After a week without updates the next id is random, possibly smaller (Bot API,
    /// `Update`). Everything before it is confirmed by then, so nothing is read twice.
    fn is_valid(&self, bot: &str, now: SystemTime) -> bool {
        self.bot == bot && seconds(now).saturating_sub(self.at) < VALID_FOR.as_secs()
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[derive(Deserialize)]
struct UpdatesAnswer {
    #[serde(deserialize_with = "lenient_list")]
    result: Vec<Update>,
}

const ACCOUNT: AccountType = AccountType::Telegram;

/// The token is a variable of the path, which no metric and no span has.
const GET_UPDATES: Route = Route::new(ACCOUNT, "/bot{token}/getUpdates");

/// Largest page that Telegram returns.
const PAGE_SIZE: usize = 100;

/// Time for which Telegram waits for an update before it answers; well below the timeout of the call.
const LONG_POLL: Duration = Duration::from_secs(2);

/// A day less than a week, so that no id is drawn anew while the old one is valid.
const VALID_FOR: Duration = Duration::from_hours(6 * 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_is_stored_in_the_checked_in_format() {
        let stored = json!({ "bot": "7", "next": 42, "at": 1_796_054_400_u64 });
        assert!(crate::cursor::is_in_format::<Cursor>(&stored));
    }
}
