//! Tokens that platforms issued, and their revocation.

use protocol::account::AccountType;
use protocol::time::Timestamp;

use crate::vault::Ciphertext;

/// Tokens that a platform issued, encrypted with (user, platform, column) as associated data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedTokens {
    /// Access token, bound to [`TokenColumn::Access`](crate::TokenColumn::Access).
    pub access: Ciphertext,
    /// Refresh token, bound to [`TokenColumn::Refresh`](crate::TokenColumn::Refresh).
    pub refresh: Option<Ciphertext>,
    /// Expiry of the access token, where the platform states one.
    pub expires_at: Option<Timestamp>,
}

impl EncryptedTokens {
    /// Builds the revocation of the whole grant that these tokens belong to.
    #[must_use]
    pub fn revocation(self, account: AccountType, platform_user_id: String) -> Revocation {
        Revocation {
            account,
            platform_user_id,
            tokens: self,
            scope: RevokeScope::Grant,
        }
    }
}

/// Grant to revoke at its platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Platform.
    pub account: AccountType,
    /// Owner of the grant at the platform; empty if unknown. Such a revocation is limited to its token.
    pub platform_user_id: String,
    /// All tokens of the link, encrypted as in the account's row. The platform's module knows which of them end the grant.
    pub tokens: EncryptedTokens,
    /// Scope. The store narrows `Grant` to `Token` while another link of the same platform account exists.
    pub scope: RevokeScope,
}

/// Kind of a token, and the column to which the vault binds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenColumn {
    /// An access token.
    Access,
    /// A refresh token.
    Refresh,
}

impl TokenColumn {
    /// Name in rows and in the vault's bindings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access_token",
            Self::Refresh => "refresh_token",
        }
    }
}

/// Scope of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RevokeScope {
    /// The whole grant of the user to the application.
    Grant,
    /// Only this token.
    Token,
}

impl RevokeScope {
    /// Both scopes.
    pub const ALL: [Self; 2] = [Self::Grant, Self::Token];

    /// Name in rows and metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Token => "token",
        }
    }
}
