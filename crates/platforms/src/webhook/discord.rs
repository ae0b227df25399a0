//! Discord: Ed25519 signature over a timestamp and the body. Webhook events and interactions arrive in one format at one URL and
//! differ by their fields. Of the events, a direct message of the Social SDK notifies its recipients, and the end of an
//! authorization triggers a sync of the account.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, VerifyingKey};
use protocol::notification::NotificationType;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::mac::decode_hex;
use super::{InvalidWebhookSecret, Request, WebhookDelivery, WebhookError, WebhookResponse};
use crate::platform::{AddressedNotification, PlatformNotification};
use crate::untrusted::Id;

/// Public key of the application.
#[derive(Debug)]
pub(super) struct PublicKey(VerifyingKey);

impl PublicKey {
    pub(super) fn parse(text: &Secret) -> Result<Self, InvalidWebhookSecret> {
        let bytes =
            decode_hex::<32>(text.expose()).ok_or(InvalidWebhookSecret("is a public key of 64 hexadecimal digits"))?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_no_point| InvalidWebhookSecret("is no public key"))?;
        // For a weak key there are signatures that are valid for every text.
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
    let signature = decode_hex::<64>(&request.header("x-signature-ed25519")?).ok_or(WebhookError::InvalidSignature)?;
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
        // Discord gives its deliveries no id, and signs each retry anew: the message's own id is what deduplicates it.
        id: HEXLOWER.encode(&Sha256::digest(&signed)),
        notifications,
        deauthorized,
        response,
    })
}

/// Reports whether the timestamp is recent: an older request may be a replay.
fn is_fresh(timestamp: &str, now: SystemTime) -> bool {
    let seconds = timestamp.parse().ok();
    let at = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    let difference = at.map(|at| now.duration_since(at).unwrap_or_else(|later| later.duration()));
    difference.is_some_and(|difference| difference <= MAX_AGE)
}

/// Longest accepted age. Discord retries for 10 minutes, but signs each attempt anew.
const MAX_AGE: Duration = Duration::from_mins(5);

#[derive(Deserialize)]
struct Delivery {
    #[serde(rename = "type")]
    kind: u64,
    /// Present in webhook events and absent in interactions; both have a type 1.
    event: Option<Event>,
}

/// Type of a PING of an interactions URL. That of a webhook events URL is 0.
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
    /// Recipient of a message that exists within the game only.
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

/// User who authorized the application, or ended the authorization.
#[derive(Deserialize)]
struct Authorization {
    user: User,
}

impl Event {
    /// Notifications, and users who revoked access. Data of another shape are ignored: a retry would not help.
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
        let notification = PlatformNotification {
            id: self.id.into(),
            kind: NotificationType::Message,
            content: self.content,
            sender: self.author.username,
            at: self.timestamp,
        };
        let addressed = recipients.into_iter().map(|user| AddressedNotification {
            platform_user_id: user.into(),
            notification: notification.clone(),
        });
        addressed.collect()
    }
}
