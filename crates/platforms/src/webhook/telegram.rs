//! Telegram: a secret that comes with each update. The bot sees what is written where it is; that is news for those who are answered
//! or named there, where the update carries their id. Telegram names others by `@username` alone, which says nothing about who that is.

use protocol::secret::Secret;
use protocol::time::Timestamp;
use serde::Deserialize;

use super::{Request, WebhookDelivery, WebhookError, WebhookResponse, mac};
use crate::addressed;
use crate::foreign::{Id, number, readable};
use crate::platform::{AddressedNotification, PlatformNotification};

pub(super) fn read(secret: &Secret, request: &Request<'_>) -> Result<WebhookDelivery, WebhookError> {
    if !mac::is_same(secret, &request.header("x-telegram-bot-api-secret-token")?) {
        return Err(WebhookError::InvalidSignature);
    }
    let update: Update = request.json()?;
    Ok(WebhookDelivery {
        id: update.update_id.to_string(),
        notifications: update.notifications(),
        deauthorized: Vec::new(),
        response: WebhookResponse::Ok,
    })
}

/// What happened in a chat of the bot's.
#[derive(Deserialize)]
pub(crate) struct Update {
    /// Counts up.
    #[serde(deserialize_with = "number")]
    pub(crate) update_id: i64,
    /// None where there is another thing in it, or one of another shape: that is not worth being sent again.
    #[serde(default, deserialize_with = "readable")]
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    message_id: Id,
    chat: Chat,
    from: Option<User>,
    /// Seconds since 1970.
    #[serde(deserialize_with = "number")]
    date: i64,
    text: Option<String>,
    caption: Option<String>,
    #[serde(default)]
    entities: Vec<Entity>,
    #[serde(default)]
    caption_entities: Vec<Entity>,
    reply_to_message: Option<Box<Answered>>,
}

#[derive(Deserialize)]
struct Answered {
    from: Option<User>,
}

#[derive(Deserialize)]
struct Chat {
    id: Id,
}

#[derive(Deserialize)]
struct User {
    id: Id,
    #[serde(default)]
    first_name: String,
    username: Option<String>,
}

#[derive(Deserialize)]
struct Entity {
    /// Of a `text_mention`: a user without a username.
    user: Option<User>,
}

impl Update {
    /// What is news in it.
    pub(crate) fn notifications(self) -> Vec<AddressedNotification> {
        let Some(message) = self.message else { return Vec::new() };
        let Some(sender) = message.from else { return Vec::new() };
        let Some(content) = message.text.or(message.caption) else {
            return Vec::new();
        };
        let answered = message.reply_to_message.and_then(|answered| answered.from);
        let named = message.entities.into_iter().chain(message.caption_entities);
        let named = named.filter_map(|entity| Some(entity.user?.id));
        addressed::of_message(&sender.id, answered.map(|user| user.id), named, |kind| {
            PlatformNotification {
                // A message's number counts within its chat.
                id: format!("{} {}", message.chat.id, message.message_id),
                kind,
                content: content.clone(),
                sender: sender.username.clone().unwrap_or_else(|| sender.first_name.clone()),
                at: Timestamp::from_millis(message.date.saturating_mul(1_000)),
            }
        })
    }
}
