//! What is written in the guilds that the application's bot is in, by REST: channels name their last message, and those that have a
//! newer one are read on.

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

use self::cursor::{Cursor, Place, Snowflake};
use self::message::Message;
use super::DIALECT;
use crate::api::{self, Credential};
use crate::cursor::kept;
use crate::http::{Http, below};
use crate::inbox::{BotInbox, BotSettings, InboxPage};
use crate::platform::{AddressedNotification, ApiError};
use crate::settings::InsecureUrl;

/// The bot of an application of discord.com, or of a server that speaks like it.
pub struct DiscordBot {
    settings: BotSettings,
    http: Http,
}

impl DiscordBot {
    /// The bot with this token.
    ///
    /// # Errors
    /// [`InsecureUrl`].
    pub fn new(settings: BotSettings, http: Http) -> Result<Self, InsecureUrl> {
        settings.check()?;
        Ok(Self { settings, http })
    }

    /// None where the bot may not look, or there is nothing any more: 403 and 404 end a look, and are not tried again.
    async fn list<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Option<T>, ApiError> {
        let mut url = below(&self.settings.api_url, path);
        url.query_pairs_mut().extend_pairs(query);
        let answer = api::get(&DIALECT, &self.http, &url, Credential::Bot(&self.settings.token)).await?;
        if [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&answer.status()) {
            return Ok(None);
        }
        api::read(DIALECT.account, &answer).map(Some)
    }

    /// Reads what is new in a guild, as far as the round goes; false where there is more.
    async fn read_guild(
        &self,
        guild: &Snowflake,
        cursor: &mut Cursor,
        round: &mut Round,
        notifications: &mut Vec<AddressedNotification>,
    ) -> Result<bool, ApiError> {
        let path = ["guilds", &guild.to_string(), "channels"];
        let channels = match self.list::<Vec<Channel>>(&path, &[]).await {
            // So long are the topics of its channels that nothing of it can be read: that keeps no other guild from being read.
            Err(error) if api::is_too_large(&error) => None,
            listed => listed?,
        };
        let Some(channels) = channels else { return Ok(true) };
        let mut places = cursor.places(guild, channels.into_iter().map(|it| (it.id, it.last_message_id)));
        for place in places.iter_mut().filter(|place| place.is_behind()) {
            if !round.goes_on() {
                break;
            }
            let Messages { messages, is_last } = self.messages(&place.channel, &place.read).await?;
            if is_last {
                // Nothing is left to read, or nothing may be read here: Discord then gives an empty list.
                place.read = place.last;
            }
            for message in messages {
                place.read = place.read.max(message.id());
                notifications.extend(message.notifications());
            }
        }
        let is_whole = !places.iter().any(Place::is_behind);
        cursor.keep(guild, places);
        Ok(is_whole)
    }

    /// Those after this one; fewer where they are long.
    async fn messages(&self, channel: &Snowflake, after: &Snowflake) -> Result<Messages, ApiError> {
        let path = ["channels", &channel.to_string(), "messages"];
        let mut size = MESSAGES;
        let listed: Option<Vec<Message>> = loop {
            let query = [("after", after.to_string()), ("limit", size.to_string())];
            let query = query.each_ref().map(|(name, value)| (*name, value.as_str()));
            match self.list(&path, &query).await {
                Err(error) => size = api::smaller_page(size, 1, error)?,
                Ok(listed) => break listed,
            }
        };
        let mut messages = listed.unwrap_or_default();
        messages.sort_by_key(Message::id);
        Ok(Messages {
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
        EVERY
    }

    async fn read(&self, cursor: Option<&Value>) -> Result<InboxPage, ApiError> {
        let mut cursor: Cursor = kept(cursor).unwrap_or_default();
        let mut round = Round::new();
        let after = cursor.after.unwrap_or_default().to_string();
        let query = [("limit", GUILDS.to_string()), ("after", after)];
        let query = query.each_ref().map(|(name, value)| (*name, value.as_str()));
        let guilds = self.list(&["users", "@me", "guilds"], &query).await?;
        let guilds: Vec<Guild> = guilds.unwrap_or_default();
        let mut notifications = Vec::new();
        let mut more = guilds.len() >= GUILDS;
        for guild in &guilds {
            let is_whole = self
                .read_guild(&guild.id, &mut cursor, &mut round, &mut notifications)
                .await?;
            if is_whole {
                cursor.after = Some(guild.id);
            }
            if !is_whole || round.is_late() {
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

/// A page of a channel.
struct Messages {
    /// Oldest first.
    messages: Vec<Message>,
    /// Whether there are no newer ones.
    is_last: bool,
}

/// How much is read at a time.
struct Round {
    left: usize,
    until: Instant,
}

impl Round {
    fn new() -> Self {
        Self {
            left: CHANNELS,
            until: Instant::now() + LASTS,
        }
    }

    /// Whether one more channel is read.
    fn goes_on(&mut self) -> bool {
        if self.is_late() || self.left == 0 {
            return false;
        }
        self.left -= 1;
        true
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// A round costs a call, and one more for each guild and each channel with something new.
const EVERY: Duration = Duration::from_secs(10);

/// When no further call is begun; each takes 4 s at most.
const LASTS: Duration = Duration::from_secs(5);

/// Guilds at a time, and channels among them that are read on: far from 50 calls a second.
const GUILDS: usize = 10;
const CHANNELS: usize = 15;

/// The most that one answer has.
const MESSAGES: usize = 100;
