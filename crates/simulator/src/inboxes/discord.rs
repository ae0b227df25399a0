//! Messages in the one guild of Discord that the bot is in.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::{UtcDateTime, format_description::well_known::Rfc3339};

use crate::account::Account;
use crate::chat::NewMessage;

/// Channels by their ids.
#[derive(Debug, Default)]
pub(crate) struct Guild {
    pub(crate) channels: BTreeMap<u64, Channel>,
    /// Last id; ids increase with time.
    last: u64,
}

#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) messages: BTreeMap<u64, Value>,
}

impl Guild {
    /// Adds a message and returns its id.
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

/// User object of this login.
pub(crate) fn profile(login: &str) -> Value {
    let account = Account::named(login);
    json!({
        "id": account.snowflake(),
        "username": account.login,
        "discriminator": "0",
        "global_name": account.name,
        "avatar": null,
    })
}

/// Id of the guild.
pub(crate) const GUILD: u64 = 1_100_000_000_000_000_000;
