//! Webhooks of platforms: verification of a delivery, and the notifications in it.

mod discord;
mod github;
mod mac;
mod telegram;
mod x_twitter;

use std::time::SystemTime;

use protocol::account::AccountType;
use protocol::secret::Secret;
use serde::de::DeserializeOwned;

use crate::platform::AddressedNotification;
use crate::untrusted;

pub(crate) use telegram::Update;

/// Verifier of one platform's deliveries, with the secret or key that signs them.
#[derive(Debug)]
pub struct WebhookVerifier(Proof);

#[derive(Debug)]
enum Proof {
    Github(Secret),
    XTwitter(Secret),
    Discord(discord::PublicKey),
    Telegram(Secret),
}

/// Request, as it was received.
pub struct Request<'a> {
    /// Value of a header, by its lower-case name.
    pub header: &'a (dyn Fn(&str) -> Option<String> + Send + Sync),
    /// Body, byte for byte: the signed text.
    pub body: &'a [u8],
}

/// Content of a delivery.
#[derive(Debug, PartialEq, Eq)]
pub struct WebhookDelivery {
    /// Id of the delivery; a repeated delivery has the same. At most 128 characters.
    pub id: String,
    /// Notifications with their recipients; often none.
    pub notifications: Vec<AddressedNotification>,
    /// Users, by their ids at the platform, who have revoked the application's access.
    pub deauthorized: Vec<String>,
    /// Response that the platform expects once the delivery is committed.
    pub response: WebhookResponse,
}

/// Response to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookResponse {
    /// 200 with an empty body.
    Ok,
    /// 204.
    NoContent,
    /// 200 with `{"type":1}`: answer to Discord's PING of an interactions URL.
    Pong,
}

/// Cause of a rejected request. It contains no part of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// No valid signature of the platform over this body, or an old one.
    #[error("the signature is invalid")]
    InvalidSignature,
    /// The signature is valid, and the content cannot be read.
    #[error("the delivery cannot be read")]
    Unreadable,
}

/// Secret that cannot verify anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidWebhookSecret(&'static str);

impl WebhookVerifier {
    /// Verifier for a platform with this secret: GitHub's webhook secret, X's consumer secret, Discord's public key in
    /// hexadecimal digits, Telegram's `secret_token`.
    ///
    /// # Errors
    /// [`InvalidWebhookSecret`].
    pub fn new(platform: AccountType, secret: &Secret) -> Result<Self, InvalidWebhookSecret> {
        if secret.expose().is_empty() {
            return Err(InvalidWebhookSecret("is empty: anybody could sign with it"));
        }
        Ok(Self(match platform {
            AccountType::Github => Proof::Github(secret.clone()),
            AccountType::XTwitter => Proof::XTwitter(secret.clone()),
            AccountType::Discord => Proof::Discord(discord::PublicKey::parse(secret)?),
            AccountType::Telegram => Proof::Telegram(secret.clone()),
        }))
    }

    /// Platform of the webhook.
    #[must_use]
    pub fn platform(&self) -> AccountType {
        match self.0 {
            Proof::Github(_) => AccountType::Github,
            Proof::XTwitter(_) => AccountType::XTwitter,
            Proof::Discord(_) => AccountType::Discord,
            Proof::Telegram(_) => AccountType::Telegram,
        }
    }

    /// Verifies a request and reads it. Events without a notification are accepted and ignored.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub fn read(&self, request: &Request<'_>, now: SystemTime) -> Result<WebhookDelivery, WebhookError> {
        match &self.0 {
            Proof::Github(secret) => github::read(secret, request),
            Proof::XTwitter(secret) => x_twitter::read(secret, request, now),
            Proof::Discord(key) => discord::read(key, request, now),
            Proof::Telegram(secret) => telegram::read(secret, request),
        }
    }

    /// Answer to a challenge (X's CRC), which proves knowledge of the secret.
    ///
    /// # Errors
    /// [`WebhookError::Unreadable`] if the platform has no challenges, or the token is malformed.
    pub fn answer_challenge(&self, token: &str) -> Result<String, WebhookError> {
        match &self.0 {
            Proof::XTwitter(secret) => x_twitter::response_token(secret, token),
            _ => Err(WebhookError::Unreadable),
        }
    }
}

impl Request<'_> {
    fn header(&self, name: &str) -> Result<String, WebhookError> {
        (self.header)(name).ok_or(WebhookError::InvalidSignature)
    }

    fn json<T: DeserializeOwned>(&self) -> Result<T, WebhookError> {
        untrusted::read(self.body).ok_or(WebhookError::Unreadable)
    }
}

/// Id of a delivery, if it is well-formed.
fn delivery_id(text: String) -> Result<String, WebhookError> {
    let is_name = (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_name {
        Ok(text)
    } else {
        Err(WebhookError::Unreadable)
    }
}

#[cfg(test)]
mod tests;
