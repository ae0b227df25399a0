//! Telegram: a secret in a header of each update. The bot receives the messages of its chats; they notify the users who are
//! answered or mentioned, if the update contains their id. Telegram mentions other users by `@username` alone, which is no stable
//! identity.

use protocol::secret::Secret;
use protocol::time::Timestamp;
use serde::Deserialize;

use super::{Request, WebhookDelivery, WebhookError, WebhookResponse, mac};
use crate::platform::{AddressedNotification, PlatformNotification};
use crate::recipients;
use crate::untrusted::{Id, lenient_number, lenient_option};

pub(super) fn read(secret: &Secret, request: &Request<'_>) -> Result<WebhookDelivery, WebhookError> {
    if !mac::is_equal(secret, &request.header("x-telegram-bot-api-secret-token")?) {
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

/// Update of one of the bot's chats.
#[derive(Deserialize)]
pub(crate) struct Update {
    /// Sequence number.
    #[serde(deserialize_with = "lenient_number")]
    pub(crate) update_id: i64,
    /// Message. None for an update of another kind or shape: a retry would not help.
    #[serde(default, deserialize_with = "lenient_option")]
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    message_id: Id,
    chat: Chat,
    from: Option<User>,
    /// Seconds since 1970.
    #[serde(deserialize_with = "lenient_number")]
    date: i64,
    text: Option<String>,
    caption: Option<String>,
    #[serde(default)]
    entities: Vec<Entity>,
    #[serde(default)]
    caption_entities: Vec<Entity>,
    reply_to_message: Option<Box<RepliedTo>>,
}

#[derive(Deserialize)]
struct RepliedTo {
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
    /// User of a `text_mention`, who has no username.
    user: Option<User>,
}

impl Update {
    /// Notifications of the update.
    pub(crate) fn notifications(self) -> Vec<AddressedNotification> {
        let Some(message) = self.message else { return Vec::new() };
        let Some(sender) = message.from else { return Vec::new() };
        let Some(content) = message.text.or(message.caption) else {
            return Vec::new();
        };
        let replied_to = message.reply_to_message.and_then(|replied_to| replied_to.from);
        let mentioned = message.entities.into_iter().chain(message.caption_entities);
        let mentioned = mentioned.filter_map(|entity| Some(entity.user?.id));
        recipients::of_message(&sender.id, replied_to.map(|user| user.id), mentioned, |kind| {
            PlatformNotification {
                // Message numbers are per chat.
                id: format!("{} {}", message.chat.id, message.message_id),
                kind,
                content: content.clone(),
                sender: sender.username.clone().unwrap_or_else(|| sender.first_name.clone()),
                at: Timestamp::from_millis(message.date.saturating_mul(1_000)),
            }
        })
    }
}
