//! The bot's own inbox, by `getUpdates`.
//!
//! Naming the next update confirms all before it, which are gone then; and only one may ask at a time. The token is part of the path,
//! so no URL of this file may be shown.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use http::{Request, header};
use lifecycle::Clock;
use protocol::account::AccountType;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api;
use crate::cursor::kept;
use crate::foreign::each;
use crate::http::{Http, below};
use crate::inbox::{BotInbox, BotSettings, InboxPage};
use crate::platform::ApiError;
use crate::settings::InsecureUrl;
use crate::webhook::Update;

/// The inbox of a bot of api.telegram.org, or of a server that speaks like it.
pub struct TelegramBot {
    settings: BotSettings,
    http: Http,
    clock: Arc<dyn Clock>,
}

impl TelegramBot {
    /// The bot with this token.
    ///
    /// # Errors
    /// [`InsecureUrl`].
    pub fn new(settings: BotSettings, http: Http, clock: Arc<dyn Clock>) -> Result<Self, InsecureUrl> {
        settings.check()?;
        Ok(Self { settings, http, clock })
    }

    /// The part of the token before the colon, which is no secret.
    fn id(&self) -> &str {
        self.settings.token.expose().split(':').next().unwrap_or_default()
    }

    /// The updates from `offset` on, and whether there may be more; fewer at a time where their texts are long.
    async fn updates(&self, offset: Option<i64>) -> Result<(Vec<Update>, bool), ApiError> {
        let mut size = LIMIT;
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
        let url = below(&self.settings.api_url, &[&path, "getUpdates"]);
        let asked = json!({
            "offset": offset,
            "limit": size,
            "timeout": WAITS.as_secs(),
            "allowed_updates": ["message"],
        });
        let request = Request::post(url.as_str()).header(header::CONTENT_TYPE, "application/json");
        let answer = api::send(ACCOUNT, &self.http, request.body(asked.to_string().into_bytes())).await?;
        let Answer { result } = api::read(ACCOUNT, &answer)?;
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
        let cursor: Option<Cursor> = kept(cursor);
        let offset = cursor.filter(|cursor| cursor.counts(self.id(), now));
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

/// Up to where the inbox was read.
#[derive(Debug, Serialize, Deserialize)]
struct Cursor {
    /// Numbers are each bot's own.
    bot: String,
    /// The first update that was not read.
    next: i64,
    /// When the last one was, in seconds since 1970.
    at: u64,
}

impl Cursor {
    /// After a week without updates the next one has any number, a smaller one too (Bot API, `Update`). What comes before it is then
    /// long confirmed, so nothing is read twice.
    fn counts(&self, bot: &str, now: SystemTime) -> bool {
        self.bot == bot && seconds(now).saturating_sub(self.at) < COUNTS_FOR.as_secs()
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[derive(Deserialize)]
struct Answer {
    #[serde(deserialize_with = "each")]
    result: Vec<Update>,
}

const ACCOUNT: AccountType = AccountType::Telegram;

/// The most that one answer has.
const LIMIT: usize = 100;

/// How long Telegram holds an answer back until there is something in it; well below the time that it may take.
const WAITS: Duration = Duration::from_secs(2);

/// A day less than a week, so that no number is drawn anew while the old one counts.
const COUNTS_FOR: Duration = Duration::from_hours(6 * 24);
