//! X: HMAC in base64 under the application's consumer secret, for deliveries and for the challenge alike. A delivery names its
//! recipient: mentions, legacy direct messages and new followers notify that user. Encrypted chats are not read.

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::notification::NotificationType;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{Request, WebhookDelivery, WebhookError, WebhookResponse, delivery_id, mac};
use crate::platform::{AddressedNotification, PlatformNotification};
use crate::untrusted::{Id, lenient_list, lenient_number};

/// Answer to a challenge. Anybody may request it, and it is signed like a delivery: so a challenge that could be the body of a
/// delivery gets no answer, or the caller would obtain a valid signature.
pub(super) fn response_token(secret: &Secret, challenge: &str) -> Result<String, WebhookError> {
    let is_token_char = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=+/.".contains(&byte);
    if challenge.is_empty() || challenge.len() > MAX_CHALLENGE_LENGTH || !challenge.bytes().all(is_token_char) {
        return Err(WebhookError::Unreadable);
    }
    let signature = STANDARD.encode(mac::sign(secret, challenge.as_bytes()));
    Ok(format!("sha256={signature}"))
}

/// X's own challenges have some 50 characters.
const MAX_CHALLENGE_LENGTH: usize = 256;

pub(super) fn read(secret: &Secret, request: &Request<'_>, now: SystemTime) -> Result<WebhookDelivery, WebhookError> {
    let signature = request.header("x-twitter-webhooks-signature")?;
    let signature = signature
        .strip_prefix("sha256=")
        .ok_or(WebhookError::InvalidSignature)?;
    let signature = STANDARD
        .decode(signature)
        .map_err(|_no_base64| WebhookError::InvalidSignature)?;
    mac::verify(secret, request.body, &signature)?;
    let Envelope { data } = request.json()?;
    let notifications = match data.event_type.as_str() {
        "post.mention.create" => mention(&data).into_iter().collect(),
        "dm.received" => messages(&data),
        "follow.follow" => follower(&data, now).into_iter().collect(),
        _ => Vec::new(),
    };
    // A payload of another shape is ignored: a retry would not help.
    let addressed = data.recipient().map(|user| {
        notifications
            .into_iter()
            .map(move |notification| AddressedNotification {
                platform_user_id: user.to_owned(),
                notification,
            })
    });
    let deauthorized = match data.event_type.as_str() {
        "oauth.revoke" => RevokedAuthorization::deserialize(&data.payload)
            .map(|revoked| revoked.user_id.into())
            .ok(),
        _ => None,
    };
    Ok(WebhookDelivery {
        deauthorized: deauthorized.into_iter().collect(),
        notifications: addressed.into_iter().flatten().collect(),
        id: delivery_id(data.event_uuid)?,
        response: WebhookResponse::Ok,
    })
}

#[derive(Deserialize)]
struct Envelope {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    event_uuid: String,
    event_type: String,
    filter: Option<Filter>,
    #[serde(default)]
    payload: Value,
    #[serde(default)]
    includes: Value,
}

impl Data {
    fn recipient(&self) -> Option<&str> {
        Some(self.filter.as_ref()?.user_id.as_ref()?.as_str())
    }
}

#[derive(Deserialize)]
struct Filter {
    user_id: Option<Id>,
}

#[derive(Deserialize)]
struct Post {
    id: Id,
    #[serde(default)]
    text: String,
    author_id: Id,
    created_at: Timestamp,
    in_reply_to_user_id: Option<Id>,
}

#[derive(Deserialize)]
struct Includes {
    #[serde(default, deserialize_with = "lenient_list")]
    users: Vec<User>,
}

#[derive(Deserialize)]
struct User {
    id: Id,
    username: String,
}

fn mention(data: &Data) -> Option<PlatformNotification> {
    let post = Post::deserialize(&data.payload).ok()?;
    let users = Includes::deserialize(&data.includes).map_or_else(|_none| Vec::new(), |includes| includes.users);
    let author = users.into_iter().find(|user| user.id == post.author_id);
    let replied_to = post.in_reply_to_user_id.as_ref().map(Id::as_str);
    Some(PlatformNotification {
        id: post.id.into(),
        kind: match replied_to {
            Some(user) if data.recipient() == Some(user) => NotificationType::Reply,
            _ => NotificationType::Mention,
        },
        content: post.text,
        sender: author.map_or(post.author_id.into(), |author| author.username),
        at: post.created_at,
    })
}

/// Revoked authorization. Its filter may be empty.
#[derive(Deserialize)]
struct RevokedAuthorization {
    user_id: Id,
}

#[derive(Deserialize)]
struct Follow {
    source: UserData,
    target: UserData,
}

/// Notification of a new follower. The event is delivered to both users; only the followed one is notified. It has no id and no
/// time of its own.
fn follower(data: &Data, now: SystemTime) -> Option<PlatformNotification> {
    let Follow { source, target } = Follow::deserialize(&data.payload).ok()?;
    (data.recipient() == Some(target.data.id.as_str()) && source.data.id != target.data.id).then(|| {
        PlatformNotification {
            id: format!("follow {}", data.event_uuid),
            kind: NotificationType::Follow,
            content: format!("@{} follows you", source.data.username),
            sender: source.data.username,
            at: now.into(),
        }
    })
}

#[derive(Deserialize)]
struct Messages {
    #[serde(deserialize_with = "lenient_list")]
    direct_message_events: Vec<MessageEvent>,
    #[serde(default)]
    users: BTreeMap<String, UserData>,
}

#[derive(Deserialize)]
struct MessageEvent {
    id: Id,
    #[serde(deserialize_with = "lenient_number")]
    created_timestamp: i64,
    message_create: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    sender_id: Id,
    message_data: MessageData,
}

#[derive(Deserialize)]
struct MessageData {
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct UserData {
    data: User,
}

fn messages(data: &Data) -> Vec<PlatformNotification> {
    let Ok(Messages {
        direct_message_events,
        users,
    }) = Messages::deserialize(&data.payload)
    else {
        return Vec::new();
    };
    let notifications = direct_message_events.into_iter().filter_map(|event| {
        let message = event.message_create?;
        let sender = users
            .get(message.sender_id.as_str())
            .map(|user| user.data.username.clone());
        Some(PlatformNotification {
            id: event.id.into(),
            kind: NotificationType::Message,
            content: message.message_data.text,
            sender: sender.unwrap_or_else(|| message.sender_id.into()),
            at: Timestamp::from_millis(event.created_timestamp),
        })
    });
    notifications.collect()
}
