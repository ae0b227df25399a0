//! Linked accounts as clients see them: platform, status, profile.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::time::Timestamp;

/// Platform whose accounts can be linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// All platforms.
    pub const ALL: [Self; 4] = [Self::Telegram, Self::XTwitter, Self::Discord, Self::Github];

    /// Name on the wire, in paths and in rows.
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

/// Text that names none of the four platforms.
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

/// Status of a linked account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Name on the wire and in rows.
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

/// Linked account as its user sees it. No token is part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UserAccount {
    /// The platform.
    pub account_type: AccountType,
    /// Stable id of the account at the platform.
    pub platform_user_id: String,
    /// Name that the account is addressed by; it can change.
    pub username: String,
    /// Name shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// URL of the profile picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// Status of the account.
    pub status: AccountStatus,
    /// OAuth scopes that the user granted.
    pub scopes: Vec<String>,
    /// Time of the link.
    pub connected_at: Timestamp,
    /// Time of the last sync that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_synced: Option<Timestamp>,
    /// Reason of the status `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

/// `account:status_changed`: the status of an account changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StatusChanged {
    /// Owner of the account.
    pub user_id: UserId,
    /// Platform of the account.
    pub account_type: AccountType,
    /// New status.
    pub status: AccountStatus,
    /// Time of the change.
    pub timestamp: Timestamp,
    /// Details of some changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<StatusMetadata>,
}

impl StatusChanged {
    /// Change of a status without details.
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

/// Details of `account:status_changed`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StatusMetadata {
    /// Reason of the status `error`, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Time of the last sync that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_synced: Option<Timestamp>,
}
