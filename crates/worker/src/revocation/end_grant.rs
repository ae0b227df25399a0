//! Platform calls that end a grant, according to the plan of its platform's module.
//!
//! Tokens that a call has revoked or issued are stored before the next call, so that another worker can continue after a crash.

use platforms::{ApiError, Platform, RefreshError, RevocationPlan, RevocationScope, RevokeOutcome, Tokens};
use protocol::fault::chain;
use protocol::secret::Secret;
use store::{EncryptedTokens, RevokeScope, Task};

use super::attempt::{AttemptError, Revoker};
use crate::call::digest;
use crate::platform::{decrypt_tokens, encrypt_tokens};

impl Revoker {
    /// Revokes what ends the grant of the task.
    pub(super) async fn end(&self, task: &Task) -> Result<RevokeOutcome, AttemptError> {
        let revocation = &task.revocation;
        let platform = self.offered.get(revocation.account)?;
        let mut scope = at_platform(revocation.scope);
        let ends_nothing = platform.revocation(scope) == RevocationPlan::Nothing;
        if ends_nothing && !revocation.platform_user_id.is_empty() {
            return Ok(RevokeOutcome::Ended);
        }
        let tokens = self.open(task, &revocation.tokens)?;
        if ends_nothing {
            scope = self.find_owner(task, platform, &tokens).await?;
        }
        if scope == RevocationScope::Token && self.is_linked_with(task, &tokens).await? {
            return Ok(RevokeOutcome::Ended);
        }
        match platform.revocation(scope) {
            RevocationPlan::Nothing => Ok(RevokeOutcome::Ended),
            RevocationPlan::ValidAccessToken => {
                self.revoke_with_valid_access_token(task, platform, (&tokens, scope))
                    .await
            }
            RevocationPlan::EachToken => self.revoke_each_token(task, platform, (&tokens, scope)).await,
        }
    }

    /// Reads the owner of the tokens, at a platform that cannot revoke a single token: the whole grant may then be revoked, unless it is
    /// linked.
    async fn find_owner(
        &self,
        task: &Task,
        platform: &dyn Platform,
        tokens: &Tokens,
    ) -> Result<RevocationScope, AttemptError> {
        let owner = match platform.profile(tokens).await {
            Ok(owner) => owner,
            // Invalid tokens can revoke nothing, and need not.
            Err(ApiError::Refused(_)) => return Ok(at_platform(task.revocation.scope)),
            Err(error) => return Err(error.into()),
        };
        let scope = self.queue.set_task_owner(task, &owner.platform_user_id).await?;
        scope.map(at_platform).ok_or(AttemptError::LeaseLost)
    }

    /// Revokes with the access token, or with a refreshed one where it has expired or the platform does not know it.
    async fn revoke_with_valid_access_token(
        &self,
        task: &Task,
        platform: &dyn Platform,
        (tokens, scope): (&Tokens, RevocationScope),
    ) -> Result<RevokeOutcome, AttemptError> {
        if !has_expired(tokens) && platform.revoke(&tokens.access, scope).await? == RevokeOutcome::Ended {
            return Ok(RevokeOutcome::Ended);
        }
        let Some(refresh) = &tokens.refresh else {
            return Ok(RevokeOutcome::UnknownToken);
        };
        let renewed = match platform.refresh(refresh).await {
            Ok(grant) => grant.tokens,
            Err(RefreshError::Refused(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let Some(renewed) = renewed else {
            return Ok(RevokeOutcome::UnknownToken);
        };
        let renewed = Tokens {
            refresh: renewed.refresh.or_else(|| Some(refresh.clone())),
            ..renewed
        };
        let account = task.revocation.account;
        let sealed = encrypt_tokens(&self.vault, self.clock.now().into(), &task.user, account, &renewed);
        let scope = match self.keep(task, &sealed).await {
            Err(AttemptError::Store(error)) => {
                // Only this worker has the new tokens: revoke them now, because a later attempt has them no more.
                tracing::warn!(
                    error = chain(&error),
                    "refreshed tokens of a revocation not stored, revoking at once"
                );
                scope
            }
            kept => kept?,
        };
        Ok(platform.revoke(&renewed.access, scope).await?)
    }

    /// Revokes the refresh token first, since it issues others. Its result counts: the access token may have been revoked with it.
    async fn revoke_each_token(
        &self,
        task: &Task,
        platform: &dyn Platform,
        (tokens, mut scope): (&Tokens, RevocationScope),
    ) -> Result<RevokeOutcome, AttemptError> {
        let mut first = None;
        if let Some(refresh) = &tokens.refresh {
            first = Some(platform.revoke(refresh, scope).await?);
            let left = EncryptedTokens {
                refresh: None,
                ..task.revocation.tokens.clone()
            };
            scope = self.keep(task, &left).await?;
        }
        // The same account may have been linked again meanwhile; that grant must not end with this one.
        if has_expired(tokens) || platform.revocation(scope) == RevocationPlan::Nothing {
            return Ok(first.unwrap_or(RevokeOutcome::Ended));
        }
        let second = platform.revoke(&tokens.access, scope).await?;
        Ok(first.unwrap_or(second))
    }

    /// Reports whether the user's link has the same tokens: a platform may issue them again when the account is linked again.
    async fn is_linked_with(&self, task: &Task, tokens: &Tokens) -> Result<bool, AttemptError> {
        let linked = self.accounts.credentials(&task.user, task.revocation.account).await?;
        let Some(sealed) = linked.and_then(|linked| linked.tokens) else {
            return Ok(false);
        };
        let linked = self.open(task, &sealed)?;
        let hash = |token: &Secret| digest([token.expose().as_bytes()]);
        let is_same =
            |one: Option<&Secret>, other: Option<&Secret>| one.map(hash).is_some_and(|it| other.map(hash) == Some(it));
        Ok(is_same(Some(&tokens.access), Some(&linked.access))
            || is_same(tokens.refresh.as_ref(), linked.refresh.as_ref()))
    }

    /// Stores the tokens that remain to be revoked, and returns the scope that may be revoked by now.
    async fn keep(&self, task: &Task, left: &EncryptedTokens) -> Result<RevocationScope, AttemptError> {
        let scope = self.queue.replace_task_tokens(&task.id, left).await?;
        scope.map(at_platform).ok_or(AttemptError::LeaseLost)
    }

    fn open(&self, task: &Task, sealed: &EncryptedTokens) -> Result<Tokens, AttemptError> {
        let account = task.revocation.account;
        Ok(decrypt_tokens(
            &self.vault,
            self.clock.now().into(),
            &task.user,
            account,
            sealed,
        )?)
    }
}

fn has_expired(tokens: &Tokens) -> bool {
    tokens.expires_in.is_some_and(|left| left.is_zero())
}

fn at_platform(scope: RevokeScope) -> RevocationScope {
    match scope {
        RevokeScope::Grant => RevocationScope::Grant,
        RevokeScope::Token => RevocationScope::Token,
    }
}
