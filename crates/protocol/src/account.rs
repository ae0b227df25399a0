//! Linked accounts: which platform, in what state, and how the client sees them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::time::Timestamp;

/// A platform whose accounts can be linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountType {
    /// Telegram.
    Telegram,
    /// X, once Twitter.
    XTwitter,
    /// Discord.
    Discord,
    /// GitHub.
    Github,
}

impl AccountType {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Telegram, Self::XTwitter, Self::Discord, Self::Github];

    /// The name on the wire, in paths and in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Telegram => "telegram",
            Self::XTwitter => "x_twitter",
            Self::Discord => "discord",
            Self::Github => "github",
        }
    }
}

impl fmt::Display for AccountType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names none of the four platforms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an account type is telegram, x_twitter, discord or github")]
pub struct UnknownAccountType;

impl FromStr for AccountType {
    type Err = UnknownAccountType;

    fn from_str(text: &str) -> Result<Self, UnknownAccountType> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(UnknownAccountType)
    }
}

/// How a linked account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// Linked and working.
    Connected,
    /// No longer linked.
    Disconnected,
    /// The platform refused or cannot be reached.
    Error,
    /// A sync is under way.
    Syncing,
}

impl AccountStatus {
    /// The name on the wire and in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Error => "error",
            Self::Syncing => "syncing",
        }
    }
}

/// A linked account as its user sees it. No token is part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserAccount {
    /// The platform.
    pub account_type: AccountType,
    /// The platform's stable id of the account.
    pub platform_user_id: String,
    /// The name the account is addressed by; it can change.
    pub username: String,
    /// The name shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// A picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// How it is.
    pub status: AccountStatus,
    /// What the user granted at the platform.
    pub scopes: Vec<String>,
    /// When it was linked.
    pub connected_at: Timestamp,
    /// The last sync that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_synced: Option<Timestamp>,
    /// Why `status` is `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

/// `account:status_changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusChanged {
    /// Whose account.
    pub user_id: UserId,
    /// Which account.
    pub account_type: AccountType,
    /// How it is now.
    pub status: AccountStatus,
    /// Since when.
    pub timestamp: Timestamp,
    /// More, where there is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<StatusMetadata>,
}

impl StatusChanged {
    /// The account of this user is like this, and nothing more is to be said.
    #[must_use]
    pub fn plain(user: &UserId, account: AccountType, status: AccountStatus, timestamp: Timestamp) -> Self {
        Self {
            user_id: user.clone(),
            account_type: account,
            status,
            timestamp,
            metadata: None,
        }
    }
}

/// What `account:status_changed` may add.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusMetadata {
    /// Why `status` is `error`, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The last sync that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_synced: Option<Timestamp>,
}
