//! Payloads of `account:*` commands.

use serde::{Deserialize, Serialize};

use super::payload::{BoundedText, MAX_WORD, Payload};
use crate::account::AccountType;
use crate::id::UserId;
use crate::secret::Secret;

/// `account:authorize`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authorize {
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The platform.
    pub account_type: AccountType,
    /// URI that the platform sends the user back to, byte for byte.
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
#[serde(rename_all = "camelCase")]
pub struct Connect {
    /// The caller.
    pub user_id: UserId,
    /// The platform.
    pub account_type: AccountType,
    /// Authorization code from the platform's callback.
    pub oauth_code: Secret,
    /// Redirect URI that the code was issued for.
    pub redirect_uri: String,
    /// State of `account:authorize`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Secret>,
    /// PKCE verifier (RFC 7636), where the application ran the authorization itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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

/// Longest redirect URI, in bytes.
const MAX_URI: usize = 2_048;
/// Longest authorization code, in bytes: no platform's comes near it.
const MAX_CODE: usize = 4_096;
