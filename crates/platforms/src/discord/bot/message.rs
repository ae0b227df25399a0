//! Message in a guild: notifies the users whom it answers or mentions.

use protocol::time::Timestamp;
use serde::Deserialize;

use super::cursor::Snowflake;
use crate::platform::{AddressedNotification, PlatformNotification};
use crate::recipients;
use crate::untrusted::Id;

/// Message, as the API lists it.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Message {
    /// Message of a user.
    UserMessage(UserMessage),
    /// Message of another shape, which is skipped: requesting it again would not help.
    Other {
        /// Id, which orders it among the others.
        id: Snowflake,
    },
}

/// Message of a user. Its text is empty where Discord withholds it from the bot (`MESSAGE_CONTENT`).
#[derive(Deserialize)]
pub(super) struct UserMessage {
    id: Snowflake,
    #[serde(default)]
    content: String,
    author: User,
    timestamp: Timestamp,
    #[serde(default)]
    mentions: Vec<User>,
    referenced_message: Option<Box<RepliedTo>>,
}

#[derive(Deserialize)]
struct RepliedTo {
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
            Self::UserMessage(UserMessage { id, .. }) | Self::Other { id } => *id,
        }
    }

    /// Notifications of the message.
    pub(super) fn notifications(self) -> Vec<AddressedNotification> {
        match self {
            Self::UserMessage(message) => message.notifications(),
            Self::Other { .. } => Vec::new(),
        }
    }
}

impl UserMessage {
    /// Notifications of the message. Mentions of roles and of everyone notify nobody.
    fn notifications(self) -> Vec<AddressedNotification> {
        let replied_to = self.referenced_message.map(|replied_to| replied_to.author.id);
        let mentioned = self.mentions.into_iter().map(|user| user.id);
        recipients::of_message(&self.author.id, replied_to, mentioned, |kind| PlatformNotification {
            id: self.id.to_string(),
            kind,
            content: self.content.clone(),
            sender: self.author.username.clone(),
            at: self.timestamp,
        })
    }
}
