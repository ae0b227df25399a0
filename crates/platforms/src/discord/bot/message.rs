//! A message in a guild: news for whom it answers or names.

use protocol::time::Timestamp;
use serde::Deserialize;

use super::cursor::Snowflake;
use crate::addressed;
use crate::foreign::Id;
use crate::platform::{AddressedNotification, PlatformNotification};

/// A message, as the API lists it.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Message {
    /// One that somebody wrote.
    Written(Written),
    /// One of another shape: not worth being asked for again.
    Other {
        /// Its place among the others.
        id: Snowflake,
    },
}

/// Its text is empty where Discord keeps it from the bot (`MESSAGE_CONTENT`).
#[derive(Deserialize)]
pub(super) struct Written {
    id: Snowflake,
    #[serde(default)]
    content: String,
    author: User,
    timestamp: Timestamp,
    #[serde(default)]
    mentions: Vec<User>,
    referenced_message: Option<Box<Answered>>,
}

#[derive(Deserialize)]
struct Answered {
    author: User,
}

#[derive(Deserialize)]
struct User {
    id: Id,
    #[serde(default)]
    username: String,
}

impl Message {
    pub(super) fn id(&self) -> Snowflake {
        match self {
            Self::Written(Written { id, .. }) | Self::Other { id } => *id,
        }
    }

    /// What is news in it.
    pub(super) fn notifications(self) -> Vec<AddressedNotification> {
        match self {
            Self::Written(message) => message.notifications(),
            Self::Other { .. } => Vec::new(),
        }
    }
}

impl Written {
    /// Roles and everyone are nobody in particular.
    fn notifications(self) -> Vec<AddressedNotification> {
        let answered = self.referenced_message.map(|answered| answered.author.id);
        let named = self.mentions.into_iter().map(|user| user.id);
        addressed::of_message(&self.author.id, answered, named, |kind| PlatformNotification {
            id: self.id.to_string(),
            kind,
            content: self.content.clone(),
            sender: self.author.username.clone(),
            at: self.timestamp,
        })
    }
}
