//! Payloads and answers of `account:*` commands.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::payload::{BoundedText, MAX_WORD, Payload};
use crate::account::{AccountType, UserAccount};
use crate::id::UserId;
use crate::secret::Secret;
use crate::time::Timestamp;

/// `account:authorize`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Authorize {
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The platform.
    pub account_type: AccountType,
    /// URI that the platform sends the user back to, byte for byte.
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_URI)))]
    pub redirect_uri: String,
}

impl Payload for Authorize {
    fn user(&self) -> Option<&UserId> {
        self.user_id.as_ref()
    }

    fn account_type(&self) -> Option<AccountType> {
        Some(self.account_type)
    }

    fn texts(&self) -> Vec<BoundedText> {
        vec![BoundedText::new("redirectUri", &self.redirect_uri, MAX_URI)]
    }
}

/// `account:connect`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Connect {
    /// The caller.
    pub user_id: UserId,
    /// The platform.
    pub account_type: AccountType,
    /// Authorization code from the platform's callback.
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_CODE)))]
    pub oauth_code: Secret,
    /// Redirect URI that the code was issued for.
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_URI)))]
    pub redirect_uri: String,
    /// State of `account:authorize`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_WORD)))]
    pub state: Option<Secret>,
    /// PKCE verifier (RFC 7636), where the application ran the authorization itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_WORD)))]
    pub code_verifier: Option<Secret>,
}

impl Payload for Connect {
    fn user(&self) -> Option<&UserId> {
        Some(&self.user_id)
    }

    fn account_type(&self) -> Option<AccountType> {
        Some(self.account_type)
    }

    fn texts(&self) -> Vec<BoundedText> {
        let state = self.state.as_ref().map_or("", Secret::expose);
        let code_verifier = self.code_verifier.as_ref().map_or("", Secret::expose);
        vec![
            BoundedText::new("redirectUri", &self.redirect_uri, MAX_URI),
            BoundedText::new("oauthCode", self.oauth_code.expose(), MAX_CODE),
            BoundedText::new("state", state, MAX_WORD),
            BoundedText::new("codeVerifier", code_verifier, MAX_WORD),
        ]
    }
}

/// `account:disconnect` and `account:sync`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AccountPayload {
    /// The caller.
    pub user_id: UserId,
    /// The platform.
    pub account_type: AccountType,
}

impl Payload for AccountPayload {
    fn user(&self) -> Option<&UserId> {
        Some(&self.user_id)
    }

    fn account_type(&self) -> Option<AccountType> {
        Some(self.account_type)
    }

    fn texts(&self) -> Vec<BoundedText> {
        Vec::new()
    }
}

/// `account:authorize_response`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuthorizeAnswer {
    /// URL to send the user to.
    pub authorization_url: Secret,
    /// State that the platform returns, and that `account:connect` brings.
    pub state: Secret,
    /// Seconds until the state expires.
    pub expires_in: u64,
}

/// `account:connect_response`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConnectAnswer {
    /// Linked account.
    pub account: UserAccount,
}

/// `account:disconnect_response`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DisconnectAnswer {
    /// Platform of the unlinked account.
    pub account_type: AccountType,
}

/// `account:sync_complete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SyncAnswer {
    /// End of the sync.
    pub last_synced: Timestamp,
    /// Result of the sync.
    pub data: SyncData,
}

/// Result of a sync; at most 32 KiB as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncData {
    /// Profile of the platform, as far as it is of use.
    pub profile: Value,
    /// Number of new notifications.
    pub notifications: u64,
    /// True if the platform has more than one sync takes.
    pub more: bool,
}

/// `account:list_response`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListAnswer {
    /// All linked accounts.
    pub accounts: Vec<UserAccount>,
}

/// Longest redirect URI, in bytes.
const MAX_URI: usize = 2_048;
/// Longest authorization code, in bytes: no platform's comes near it.
const MAX_CODE: usize = 4_096;
