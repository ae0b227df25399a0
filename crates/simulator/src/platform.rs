//! Which platform is spoken to, and for what: the two words by which faults and counters name a request.

use serde::{Deserialize, Serialize};

/// A platform the simulator pretends to be. Its name is also the first segment of its paths.
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

/// What a request is for. Every platform answers the same few questions, each in its own dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// The page where a person lets the application in.
    Authorize,
    /// A code becomes a token.
    Token,
    /// Who the token's account is.
    Profile,
    /// What came in for the account.
    Notifications,
    /// The keys that the platform signs with.
    Keys,
    /// A token or a whole grant is given back.
    Revoke,
}
