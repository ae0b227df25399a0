//! The hosted OAuth callback on its way to a worker and back: what a platform sent a browser back with, and what its user says to
//! that.

use serde::{Deserialize, Serialize};

use crate::account::{AccountType, UserAccount};
use crate::secret::Secret;

/// What a browser brought from a platform, in the name of the user and session that the state was issued to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Callback {
    /// The platform whose callback it came to.
    pub account: AccountType,
    /// The state of `account:authorize`.
    pub state: Secret,
    /// Who says to have issued it (RFC 9207), where that is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What the user did at the platform.
    pub response: AuthorizationResponse,
}

impl Callback {
    /// The name in logs and metric labels.
    pub const NAME: &str = "oauth.callback";
}

/// How an authorization went at its platform (RFC 6749 section 4.1.2).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorizationResponse {
    /// The user let the application in.
    Code(Secret),
    /// The user said no: `access_denied`.
    Denied,
    /// The platform has another reason.
    Failed,
}

/// A link that waits to be confirmed, for the page that asks for that.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parked {
    /// The account, as it would be linked.
    pub account: UserAccount,
    /// What the page's button sends.
    pub token: Secret,
    /// What the browser keeps beside the page.
    pub cookie: Secret,
    /// Seconds.
    pub expires_in: u64,
}

/// A user's yes to a parked link. For another user or session, another platform, token or cookie there is no such link.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConfirmLink {
    /// Which platform.
    pub account: AccountType,
    /// As in [`Parked::token`].
    pub token: Secret,
    /// As in [`Parked::cookie`].
    pub cookie: Secret,
}

impl ConfirmLink {
    /// The name in logs and metric labels.
    pub const NAME: &str = "oauth.confirm";
}
