//! Notifications of platforms: `notification:incoming`.

use serde::{Deserialize, Serialize};

use crate::account::AccountType;
use crate::id::UserId;
use crate::time::Timestamp;

/// Kind of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum NotificationType {
    /// A person mentioned the user.
    Mention,
    /// A person wrote to the user.
    Message,
    /// A person follows the user.
    Follow,
    /// A person replied to the user.
    Reply,
}

/// `notification:incoming`: a platform sent a notification, or the application published one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// User that is notified.
    pub user_id: UserId,
    /// Platform of the event; github too, an addition to the requirements.
    pub platform: AccountType,
    /// Kind of the event.
    #[serde(rename = "type")]
    pub kind: NotificationType,
    /// Text of the notification.
    pub content: String,
    /// Name of the sender at the platform.
    pub sender: String,
    /// Time of the event.
    pub timestamp: Timestamp,
}
