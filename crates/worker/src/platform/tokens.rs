//! Encryption of a platform's tokens for their user, platform and column.

use platforms::Tokens;
use protocol::account::AccountType;
use protocol::id::UserId;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use store::vault::{Binding, Ciphertext, Vault, VaultError};
use store::{EncryptedTokens, TokenColumn};

/// Encryption context of a token column.
pub(crate) fn token_binding(user: &UserId, account: AccountType, column: TokenColumn) -> Binding<'_> {
    Binding {
        user,
        scope: account.as_str(),
        column: column.as_str(),
    }
}

/// Encrypts tokens that were issued now.
pub(crate) fn encrypt_tokens(
    vault: &Vault,
    now: Timestamp,
    user: &UserId,
    account: AccountType,
    tokens: &Tokens,
) -> EncryptedTokens {
    let encrypt = |column, token: &Secret| vault.encrypt(&token_binding(user, account, column), token);
    EncryptedTokens {
        access: encrypt(TokenColumn::Access, &tokens.access),
        refresh: tokens
            .refresh
            .as_ref()
            .map(|token| encrypt(TokenColumn::Refresh, token)),
        expires_at: tokens.expires_in.map(|lasts| now.plus(lasts)),
    }
}

/// Decrypts tokens for a call to their platform.
pub(crate) fn decrypt_tokens(
    vault: &Vault,
    now: Timestamp,
    user: &UserId,
    account: AccountType,
    sealed: &EncryptedTokens,
) -> Result<Tokens, VaultError> {
    let open = |column, token: &Ciphertext| vault.decrypt(&token_binding(user, account, column), token);
    Ok(Tokens {
        access: open(TokenColumn::Access, &sealed.access)?,
        refresh: sealed
            .refresh
            .as_ref()
            .map(|token| open(TokenColumn::Refresh, token))
            .transpose()?,
        expires_in: sealed.expires_at.map(|end| end.since(now)),
    })
}
