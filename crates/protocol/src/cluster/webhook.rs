//! A platform's webhook on its way to a worker, and what the platform is answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::account::AccountType;
use crate::json::Json;
use crate::secret::Secret;

/// What came to `/webhooks/{platform}`. Nobody has proved yet that the platform sent it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Webhook {
    /// Whose webhook it came to.
    pub account: AccountType,
    /// What it brought.
    pub content: WebhookContent,
}

/// What a request to a webhook brings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookContent {
    /// A delivery.
    Delivery {
        /// Those of [`headers`] that it had, by their names.
        headers: BTreeMap<String, Secret>,
        /// Its body in base64: what was signed are its bytes, which need not be JSON.
        body: Secret,
    },
    /// The token of a challenge (X's CRC), to be answered in proof that we have the secret.
    Challenge(Secret),
}

impl Webhook {
    /// The name in logs and metric labels.
    pub const NAME: &str = "webhook";
}

/// What the platform is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body, if it is to have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Json>,
}

/// The headers, in lower case, that a platform's delivery is proved and read by.
#[must_use]
pub fn headers(account: AccountType) -> Headers {
    let (signature, others): (&[&str], &[&str]) = match account {
        AccountType::Github => (&["x-hub-signature-256"], &["x-github-event", "x-github-delivery"]),
        AccountType::XTwitter => (&["x-twitter-webhooks-signature"], &[]),
        AccountType::Discord => (&["x-signature-ed25519", "x-signature-timestamp"], &[]),
        AccountType::Telegram => (&["x-telegram-bot-api-secret-token"], &[]),
    };
    Headers { signature, others }
}

/// Names of headers.
#[derive(Debug, Clone, Copy)]
pub struct Headers {
    /// Without these a request is nobody's.
    pub signature: &'static [&'static str],
    /// What else the platform says in headers.
    pub others: &'static [&'static str],
}
