//! Tokens between a platform and a row: sealed for their user, platform and column.

use platforms::Tokens;
use protocol::account::AccountType;
use protocol::id::UserId;
use protocol::secret::Secret;
use store::vault::{Binding, Sealed, VaultError};
use store::{SealedTokens, TokenColumn};

use super::AccountService;

/// The place that a token is sealed for.
pub(crate) fn token_binding(user: &UserId, account: AccountType, column: TokenColumn) -> Binding<'_> {
    Binding {
        user,
        scope: account.as_str(),
        column: column.as_str(),
    }
}

impl AccountService {
    pub(super) fn seal_tokens(&self, user: &UserId, account: AccountType, tokens: &Tokens) -> SealedTokens {
        let seal = |column, token: &Secret| self.vault.seal(&token_binding(user, account, column), token);
        SealedTokens {
            access: seal(TokenColumn::Access, &tokens.access),
            refresh: tokens.refresh.as_ref().map(|token| seal(TokenColumn::Refresh, token)),
            expires_at: tokens.expires_in.map(|lasts| self.now().plus(lasts)),
        }
    }

    pub(super) fn open_tokens(
        &self,
        user: &UserId,
        account: AccountType,
        sealed: &SealedTokens,
    ) -> Result<Tokens, VaultError> {
        let open = |column, token: &Sealed| self.vault.open(&token_binding(user, account, column), token);
        Ok(Tokens {
            access: open(TokenColumn::Access, &sealed.access)?,
            refresh: sealed
                .refresh
                .as_ref()
                .map(|token| open(TokenColumn::Refresh, token))
                .transpose()?,
            expires_in: sealed.expires_at.map(|end| end.since(self.now())),
        })
    }
}
