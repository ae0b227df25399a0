//! Discord: Ed25519 over a timestamp and the body. Webhook events and interactions come in one shape to one URL and are told apart by
//! their fields. Of the events, a direct message of the Social SDK is news for its recipients, and who ends an authorization is
//! worth a look.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ed25519_dalek::{Signature, VerifyingKey};
use protocol::notification::NotificationType;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::mac::unhex;
use super::{InvalidWebhookSecret, Request, WebhookDelivery, WebhookError, WebhookResponse};
use crate::foreign::Id;
use crate::platform::{AddressedNotification, PlatformNotification};

/// The application's public key.
#[derive(Debug)]
pub(super) struct PublicKey(VerifyingKey);

impl PublicKey {
    pub(super) fn parse(text: &Secret) -> Result<Self, InvalidWebhookSecret> {
        let bytes =
            unhex::<32>(text.expose()).ok_or(InvalidWebhookSecret("is a public key of 64 hexadecimal digits"))?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_no_point| InvalidWebhookSecret("is no public key"))?;
        // With such a key there are signatures that hold for every text.
        if key.is_weak() {
            return Err(InvalidWebhookSecret("is no public key"));
        }
        Ok(Self(key))
    }
}

pub(super) fn read(
    PublicKey(key): &PublicKey,
    request: &Request<'_>,
    now: SystemTime,
) -> Result<WebhookDelivery, WebhookError> {
    let timestamp = request.header("x-signature-timestamp")?;
    let signature = unhex::<64>(&request.header("x-signature-ed25519")?).ok_or(WebhookError::InvalidSignature)?;
    let signed = [timestamp.as_bytes(), request.body].concat();
    key.verify_strict(&signed, &Signature::from_bytes(&signature))
        .map_err(|_differs| WebhookError::InvalidSignature)?;
    if !is_fresh(&timestamp, now) {
        return Err(WebhookError::InvalidSignature);
    }
    let delivery: Delivery = request.json()?;
    let response = match (delivery.kind, &delivery.event) {
        (INTERACTION_PING, None) => WebhookResponse::Pong,
        _ => WebhookResponse::NoContent,
    };
    let (notifications, deauthorized) = delivery.event.map_or_else(Default::default, Event::read);
    Ok(WebhookDelivery {
        // It gives its deliveries no name. One that is tried again is signed anew: its message's own id is what makes that one.
        id: Sha256::digest(&signed)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        notifications,
        deauthorized,
        response,
    })
}

/// What was signed long ago may have been overheard since.
fn is_fresh(timestamp: &str, now: SystemTime) -> bool {
    let seconds = timestamp.parse().ok();
    let at = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    let apart = at.map(|at| now.duration_since(at).unwrap_or_else(|later| later.duration()));
    apart.is_some_and(|apart| apart <= BELIEVED_FOR)
}

/// Discord gives up after 10 minutes, but signs each try anew.
const BELIEVED_FOR: Duration = Duration::from_mins(5);

#[derive(Deserialize)]
struct Delivery {
    #[serde(rename = "type")]
    kind: u64,
    /// Webhook events have one and interactions none; both count 1 among their types.
    event: Option<Event>,
}

/// A PING of an interactions URL. That of a webhook events URL is 0.
const INTERACTION_PING: u64 = 1;

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: serde_json::Value,
}

#[derive(Deserialize)]
struct Message {
    id: Id,
    #[serde(default)]
    content: String,
    author: User,
    timestamp: Timestamp,
    /// Of a message that exists within the game only.
    recipient_id: Option<Id>,
    channel: Option<Channel>,
}

#[derive(Deserialize)]
struct Channel {
    #[serde(default)]
    recipients: Vec<User>,
}

#[derive(Deserialize)]
struct User {
    id: Id,
    #[serde(default)]
    username: String,
}

/// Who has let the application in, or has had enough of it.
#[derive(Deserialize)]
struct Authorization {
    user: User,
}

impl Event {
    /// What is news, and who has taken access back. Data of another shape are not worth being sent again.
    fn read(self) -> (Vec<AddressedNotification>, Vec<String>) {
        match self.kind.as_str() {
            "GAME_DIRECT_MESSAGE_CREATE" => {
                let message = Message::deserialize(self.data);
                (message.map(Message::notifications).unwrap_or_default(), Vec::new())
            }
            "APPLICATION_DEAUTHORIZED" => {
                let ended = Authorization::deserialize(self.data);
                (
                    Vec::new(),
                    ended.into_iter().map(|ended| ended.user.id.into()).collect(),
                )
            }
            _ => Default::default(),
        }
    }
}

impl Message {
    fn notifications(self) -> Vec<AddressedNotification> {
        let of_channel = self.channel.into_iter().flat_map(|channel| channel.recipients);
        let mut recipients: Vec<Id> = of_channel.map(|user| user.id).chain(self.recipient_id).collect();
        recipients.retain(|id| *id != self.author.id);
        recipients.sort();
        recipients.dedup();
        let notifications = PlatformNotification {
            id: self.id.into(),
            kind: NotificationType::Message,
            content: self.content,
            sender: self.author.username,
            at: self.timestamp,
        };
        let addressed = recipients.into_iter().map(|user| AddressedNotification {
            platform_user_id: user.into(),
            notifications: notifications.clone(),
        });
        addressed.collect()
    }
}
