//! Messages in the chats of a bot.

use serde::Deserialize;

use crate::account::DEFAULT_LOGIN;

/// Token of the one bot of Discord and Telegram; it is valid in this simulator only.
pub const BOT_TOKEN: &str = "7000000001:simulated-bot-token-that-opens-nothing";

/// Message in a chat of the bot. Missing fields have plausible values.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NewMessage {
    /// Name of the channel or group; it is created with its first message.
    pub channel: String,
    /// Login of the author.
    pub author: String,
    /// Logins of the mentioned users, whose ids the message then contains.
    pub mentions: Vec<String>,
    /// Login of the user who is replied to.
    pub reply_to: Option<String>,
    /// Text of the message.
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
