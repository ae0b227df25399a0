//! What is written where a bot reads it.

use serde::Deserialize;

use crate::account::DEFAULT_LOGIN;

/// The token of the one bot that discord and telegram know; it opens nothing but this simulator.
pub const BOT_TOKEN: &str = "7000000001:simulated-bot-token-that-opens-nothing";

/// A message in a place that the bot is in. What is left out has a plausible value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NewMessage {
    /// The channel or group; it is there from its first message on.
    pub channel: String,
    /// The login of whoever writes.
    pub author: String,
    /// The logins of those who are named in it, so that the platform knows who they are.
    pub mentions: Vec<String>,
    /// The login of whoever is answered by it.
    pub reply_to: Option<String>,
    /// What is written.
    pub text: String,
}

impl Default for NewMessage {
    fn default() -> Self {
        Self {
            channel: "general".to_owned(),
            author: "grace".to_owned(),
            mentions: vec![DEFAULT_LOGIN.to_owned()],
            reply_to: None,
            text: "Have you seen this?".to_owned(),
        }
    }
}
