//! Messages in the guilds that the application's bot is in, read by REST: each channel names its last message, and the channels
//! with a newer one are read.

mod cursor;
mod message;

use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use protocol::account::AccountType;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use self::cursor::{Cursor, ReadPosition, Snowflake};
use self::message::Message;
use super::DIALECT;
use crate::api::{self, Credential};
use crate::cursor::stored;
use crate::http::Http;
use crate::inbox::{BotInbox, BotSettings, InboxPage};
use crate::platform::{AddressedNotification, ApiError};
use crate::route::below;
use crate::settings::InsecureUrl;

/// Bot of an application of discord.com, or of a server with the same API.
pub struct DiscordBot {
    settings: BotSettings,
    http: Http,
}

impl DiscordBot {
    /// Bot with this token.
    ///
    /// # Errors
    /// [`InsecureUrl`].
    pub fn new(settings: BotSettings, http: Http) -> Result<Self, InsecureUrl> {
        settings.check()?;
        Ok(Self { settings, http })
    }

    /// Calls a route of the API at this URL. None for 403 (the bot lacks the permission) and 404 (the resource is gone): both end this
    /// read and are not retried.
    async fn list<T: DeserializeOwned>(
        &self,
        (template, mut url): (&'static str, Url),
        query: &[(&str, &str)],
    ) -> Result<Option<T>, ApiError> {
        url.query_pairs_mut().extend_pairs(query);
        let credential = Credential::Bot(&self.settings.token);
        let answer = api::get(&DIALECT, &self.http, (template, &url), credential).await?;
        if [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&answer.status()) {
            return Ok(None);
        }
        api::read(DIALECT.account, &answer).map(Some)
    }

    /// Reads the new messages of a guild, as far as the budget allows. False if some are left.
    async fn read_guild(
        &self,
        guild: &Snowflake,
        cursor: &mut Cursor,
        budget: &mut ReadBudget,
        notifications: &mut Vec<AddressedNotification>,
    ) -> Result<bool, ApiError> {
        let url = below(&self.settings.api_url, ["guilds", &guild.to_string(), "channels"]);
        let channels = match self.list::<Vec<Channel>>(("/guilds/{id}/channels", url), &[]).await {
            // The topics of the guild's channels are so long that the list exceeds the size limit: skip this guild, read the
            // others.
            Err(error) if api::is_too_large(&error) => None,
            listed => listed?,
        };
        let Some(channels) = channels else { return Ok(true) };
        let mut positions = cursor.positions(guild, channels.into_iter().map(|it| (it.id, it.last_message_id)));
        for position in positions.iter_mut().filter(|position| position.has_unread()) {
            if !budget.take_channel() {
                break;
            }
            let MessagePage { messages, is_last } = self.messages(&position.channel, &position.read).await?;
            if is_last {
                // All messages are read, or the bot may not read them: Discord then returns an empty list.
                position.read = position.last;
            }
            for message in messages {
                position.read = position.read.max(message.id());
                notifications.extend(message.notifications());
            }
        }
        let is_complete = !positions.iter().any(ReadPosition::has_unread);
        cursor.store(guild, positions);
        Ok(is_complete)
    }

    /// Messages after this one; a smaller page if they are long.
    async fn messages(&self, channel: &Snowflake, after: &Snowflake) -> Result<MessagePage, ApiError> {
        let url = below(&self.settings.api_url, ["channels", &channel.to_string(), "messages"]);
        let mut size = PAGE_SIZE;
        let listed: Option<Vec<Message>> = loop {
            let query = [("after", after.to_string()), ("limit", size.to_string())];
            let query = query.each_ref().map(|(name, value)| (*name, value.as_str()));
            match self.list(("/channels/{id}/messages", url.clone()), &query).await {
                Err(error) => size = api::smaller_page(size, 1, error)?,
                Ok(listed) => break listed,
            }
        };
        let mut messages = listed.unwrap_or_default();
        messages.sort_by_key(Message::id);
        Ok(MessagePage {
            is_last: messages.len() < size,
            messages,
        })
    }
}

#[async_trait]
impl BotInbox for DiscordBot {
    fn account_type(&self) -> AccountType {
        DIALECT.account
    }

    fn read_every(&self) -> Duration {
        READ_INTERVAL
    }

    async fn read(&self, cursor: Option<&Value>) -> Result<InboxPage, ApiError> {
        let mut cursor: Cursor = stored(cursor).unwrap_or_default();
        let mut budget = ReadBudget::new();
        let after = cursor.after.unwrap_or_default().to_string();
        let query = [("limit", GUILDS_PER_READ.to_string()), ("after", after)];
        let query = query.each_ref().map(|(name, value)| (*name, value.as_str()));
        let template = "/users/@me/guilds";
        let url = DIALECT.route(template).below(&self.settings.api_url);
        let guilds = self.list((template, url), &query).await?;
        let guilds: Vec<Guild> = guilds.unwrap_or_default();
        let mut notifications = Vec::new();
        let mut more = guilds.len() >= GUILDS_PER_READ;
        for guild in &guilds {
            let is_complete = self
                .read_guild(&guild.id, &mut cursor, &mut budget, &mut notifications)
                .await?;
            if is_complete {
                cursor.after = Some(guild.id);
            }
            if !is_complete || budget.is_expired() {
                more = true;
                break;
            }
        }
        if !more {
            cursor.after = None;
        }
        Ok(InboxPage {
            notifications,
            cursor: Some(json!(cursor)),
            more,
        })
    }
}

#[derive(Deserialize)]
struct Guild {
    id: Snowflake,
}

#[derive(Deserialize)]
struct Channel {
    id: Snowflake,
    last_message_id: Option<Snowflake>,
}

/// Page of a channel's messages.
struct MessagePage {
    /// Messages, oldest first.
    messages: Vec<Message>,
    /// True if there are no newer messages.
    is_last: bool,
}

/// Budget of one read: calls and time.
struct ReadBudget {
    left: usize,
    until: Instant,
}

impl ReadBudget {
    fn new() -> Self {
        Self {
            left: CHANNELS_PER_READ,
            until: Instant::now() + READ_DURATION,
        }
    }

    /// Takes one channel from the budget. False if it is used up.
    fn take_channel(&mut self) -> bool {
        if self.is_expired() || self.left == 0 {
            return false;
        }
        self.left -= 1;
        true
    }

    fn is_expired(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// Pause between two reads. A read costs one call, and one more for each guild and each channel with new messages.
const READ_INTERVAL: Duration = Duration::from_secs(10);

/// Time after which a read starts no further call; each call takes at most 4 s.
const READ_DURATION: Duration = Duration::from_secs(5);

/// Guilds per read, and channels with new messages per read: far below the limit of 50 calls a second.
const GUILDS_PER_READ: usize = 10;
const CHANNELS_PER_READ: usize = 15;

/// Largest page that Discord returns.
const PAGE_SIZE: usize = 100;
