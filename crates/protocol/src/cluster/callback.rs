//! Hosted OAuth callback as a job: the authorization response of a platform, and the user's confirmation of the link.

use serde::{Deserialize, Serialize};

use crate::account::{AccountType, UserAccount};
use crate::secret::Secret;

/// Authorization response that a browser brought, for the user and session that the state was issued to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Callback {
    /// Platform of the callback.
    pub account: AccountType,
    /// State of `account:authorize`.
    pub state: Secret,
    /// Issuer of the response (RFC 9207), if it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Response of the platform.
    pub response: AuthorizationResponse,
}

impl Callback {
    /// Name in logs and metric labels.
    pub const NAME: &str = "oauth.callback";
}

/// Authorization response of a platform (RFC 6749 section 4.1.2).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorizationResponse {
    /// The user granted access: an authorization code.
    Code(Secret),
    /// The user denied access: `access_denied`.
    Denied,
    /// The platform reports another error.
    Failed,
}

/// Pending link, for the page on which its user confirms it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingLinkPage {
    /// Account that will be linked.
    pub account: UserAccount,
    /// Token that the button of the page sends.
    pub token: Secret,
    /// Cookie that the browser keeps for the page.
    pub cookie: Secret,
    /// Seconds until the pending link expires.
    pub expires_in: u64,
}

/// Confirmation of a pending link. Another user or session, another platform, token or cookie finds no link.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConfirmLink {
    /// Platform of the link.
    pub account: AccountType,
    /// Token of [`PendingLinkPage::token`].
    pub token: Secret,
    /// Cookie of [`PendingLinkPage::cookie`].
    pub cookie: Secret,
}

impl ConfirmLink {
    /// Name in logs and metric labels.
    pub const NAME: &str = "oauth.confirm";
}
