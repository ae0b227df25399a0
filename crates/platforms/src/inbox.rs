//! Inbox of a platform's bot: messages that the platform sends to the application itself.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::AccountType;
use protocol::secret::Secret;
use serde_json::Value;
use url::Url;

use crate::platform::{AddressedNotification, ApiError};
use crate::settings::{InsecureUrl, is_private};

/// Bot of one platform, which reads the messages of its chats.
#[async_trait]
pub trait BotInbox: Send + Sync {
    /// Platform of the bot.
    fn account_type(&self) -> AccountType;

    /// Pause after a read that left nothing; zero if the read itself waits for messages.
    fn read_every(&self) -> Duration;

    /// Messages after `cursor`, or the first part of them. The platform may delete everything before a cursor, so no cursor is
    /// passed before its notifications are committed. Ends within 10 s.
    ///
    /// # Errors
    /// [`ApiError`]; `Refused` means that the bot's token is invalid.
    async fn read(&self, cursor: Option<&Value>) -> Result<InboxPage, ApiError>;
}

/// Part of an inbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxPage {
    /// Notifications with their recipients, oldest first.
    pub notifications: Vec<AddressedNotification>,
    /// Cursor of the next read; none: unchanged.
    pub cursor: Option<Value>,
    /// True if there is more to read.
    pub more: bool,
}

/// Token and API of a bot.
#[derive(Debug, Clone)]
pub struct BotSettings {
    /// Token of the bot.
    pub token: Secret,
    /// Base URL of the API.
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
