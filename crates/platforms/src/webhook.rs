//! What platforms send of their own accord: whether a request is theirs, and what in it is news for whom.

mod discord;
mod github;
mod mac;
mod telegram;
mod x_twitter;

use std::time::SystemTime;

use protocol::account::AccountType;
use protocol::secret::Secret;
use serde::de::DeserializeOwned;

use crate::foreign;
use crate::platform::AddressedNotification;

pub(crate) use telegram::Update;

/// One platform's webhook, with what its requests are proved by.
#[derive(Debug)]
pub struct WebhookVerifier(Proof);

#[derive(Debug)]
enum Proof {
    Github(Secret),
    XTwitter(Secret),
    Discord(discord::PublicKey),
    Telegram(Secret),
}

/// A request, as it came.
pub struct Request<'a> {
    /// A header's value, by its name in lower case.
    pub header: &'a (dyn Fn(&str) -> Option<String> + Send + Sync),
    /// Byte for byte: that is what was signed.
    pub body: &'a [u8],
}

/// What a platform has delivered.
#[derive(Debug, PartialEq, Eq)]
pub struct WebhookDelivery {
    /// The delivery's name; sent again, it has the same. At most 128 characters.
    pub id: String,
    /// What is news in it; often nothing is.
    pub notifications: Vec<AddressedNotification>,
    /// Who has taken the application's access back, as the platform says: the platform's ids of its users.
    pub deauthorized: Vec<String>,
    /// What the platform wants to hear when it is kept.
    pub response: WebhookResponse,
}

/// How a platform wants its deliveries answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookResponse {
    /// 200, and nothing to read.
    Ok,
    /// 204.
    NoContent,
    /// 200 with `{"type":1}`: Discord's PING of an interactions URL.
    Pong,
}

/// Why a request is not taken. Nothing of it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// No signature of the platform's over this body, or an old one.
    #[error("the signature does not hold")]
    InvalidSignature,
    /// It is the platform's, and nothing that we know how to read.
    #[error("the delivery cannot be read")]
    Unreadable,
}

/// A secret with which nothing could be proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidWebhookSecret(&'static str);

impl WebhookVerifier {
    /// The webhook of a platform whose secret this is: what was given to GitHub, X's consumer secret, Discord's public key in
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

    /// Which platform's.
    #[must_use]
    pub fn platform(&self) -> AccountType {
        match self.0 {
            Proof::Github(_) => AccountType::Github,
            Proof::XTwitter(_) => AccountType::XTwitter,
            Proof::Discord(_) => AccountType::Discord,
            Proof::Telegram(_) => AccountType::Telegram,
        }
    }

    /// Proves a request and reads it. What the platform tells beside news is taken and left alone.
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

    /// The answer to a challenge (X's CRC), which proves that we have the secret.
    ///
    /// # Errors
    /// [`WebhookError::Unreadable`] where the platform asks for no such thing, or not for this.
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
        foreign::read(self.body).ok_or(WebhookError::Unreadable)
    }
}

/// A delivery's name as the platform gives it.
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
