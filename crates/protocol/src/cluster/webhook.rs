//! Webhooks of platforms as jobs, and the answers to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::account::AccountType;
use crate::json::Json;
use crate::secret::Secret;

/// Request to `/webhooks/{platform}`, not yet verified to be the platform's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Webhook {
    /// Platform of the webhook.
    pub account: AccountType,
    /// Content of the request.
    pub content: WebhookContent,
}

/// Content of a request to a webhook.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookContent {
    /// Delivery.
    Delivery {
        /// Headers of the delivery that [`headers`] names, by name.
        headers: BTreeMap<String, Secret>,
        /// Body in base64: its bytes are signed, and need not be JSON.
        body: Secret,
    },
    /// Token of a challenge (X's CRC). The answer proves that Postern has the secret.
    Challenge(Secret),
}

impl Webhook {
    /// Name in logs and metric labels.
    pub const NAME: &str = "webhook";
}

/// Answer to the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookAnswer {
    /// HTTP status.
    pub status: u16,
    /// Body, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Json>,
}

/// Headers, in lower case, that verify and describe a platform's delivery.
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

/// Header names of a platform.
#[derive(Debug, Clone, Copy)]
pub struct Headers {
    /// Headers of the signature. A request without them is refused.
    pub signature: &'static [&'static str],
    /// Further headers that describe the delivery.
    pub others: &'static [&'static str],
}
