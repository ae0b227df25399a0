//! What a platform sends to the application itself: the inbox of its bot.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::AccountType;
use protocol::secret::Secret;
use serde_json::Value;
use url::Url;

use crate::platform::{AddressedNotification, ApiError};
use crate::settings::{InsecureUrl, is_private};

/// One platform's bot, which reads what was written where it is.
#[async_trait]
pub trait BotInbox: Send + Sync {
    /// Which platform.
    fn account_type(&self) -> AccountType;

    /// How long to leave it alone where there was no more to read; nothing, where reading waits for news.
    fn read_every(&self) -> Duration;

    /// What has come since `cursor`, a part of it where it is much. Whatever was read up to there may be gone at the platform, so no
    /// cursor is handed in before its news are kept. Ends within 10 s.
    ///
    /// # Errors
    /// [`ApiError`]; `Refused` is about the bot's token.
    async fn read(&self, cursor: Option<&Value>) -> Result<InboxPage, ApiError>;
}

/// A part of an inbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxPage {
    /// What is news for whom, oldest first.
    pub notifications: Vec<AddressedNotification>,
    /// Hand this in next time; none: keep the old one.
    pub cursor: Option<Value>,
    /// Whether there is more to read.
    pub more: bool,
}

/// Who a bot is, and where.
#[derive(Debug, Clone)]
pub struct BotSettings {
    /// The bot's token.
    pub token: Secret,
    /// What the API's paths are appended to.
    pub api_url: Url,
}

impl BotSettings {
    pub(crate) fn check(&self) -> Result<(), InsecureUrl> {
        if is_private(&self.api_url) {
            Ok(())
        } else {
            Err(InsecureUrl("api"))
        }
    }
}
