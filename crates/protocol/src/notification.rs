//! What happened to the user on a platform: `notification:incoming`.

use serde::{Deserialize, Serialize};

use crate::account::AccountType;
use crate::id::UserId;
use crate::time::Timestamp;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationType {
    /// Someone named the user.
    Mention,
    /// Someone wrote to the user.
    Message,
    /// Someone follows the user.
    Follow,
    /// Someone answered the user.
    Reply,
}

/// `notification:incoming`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Whose.
    pub user_id: UserId,
    /// Where it happened; github too, an addition to the requirements.
    pub platform: AccountType,
    /// What.
    #[serde(rename = "type")]
    pub kind: NotificationType,
    /// What was said.
    pub content: String,
    /// Who said it.
    pub sender: String,
    /// When.
    pub timestamp: Timestamp,
}
