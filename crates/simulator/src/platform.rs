//! Platform and route of a request, the two names by which faults and counters refer to it.

use serde::{Deserialize, Serialize};

/// Simulated platform. Its name is also the first segment of its paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// github.com and api.github.com, under `/github`.
    Github,
    /// discord.com, under `/discord`.
    Discord,
    /// x.com and api.x.com, under `/x_twitter`.
    XTwitter,
    /// oauth.telegram.org, under `/telegram`.
    Telegram,
}

/// Purpose of a request. Every platform has the same few, each in its own dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// Authorize page.
    Authorize,
    /// Token endpoint.
    Token,
    /// Profile of the token's owner.
    Profile,
    /// Notifications of the account.
    Notifications,
    /// Signing keys of the platform.
    Keys,
    /// Revocation of a token or a whole grant.
    Revoke,
}

impl Platform {
    /// All platforms.
    pub(crate) const ALL: [Self; 4] = [Self::Github, Self::Discord, Self::XTwitter, Self::Telegram];

    /// Name, as its users know it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Github => "GitHub",
            Self::Discord => "Discord",
            Self::XTwitter => "X",
            Self::Telegram => "Telegram",
        }
    }

    /// First segment of its paths.
    pub(crate) fn segment(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Discord => "discord",
            Self::XTwitter => "x_twitter",
            Self::Telegram => "telegram",
        }
    }
}
