//! The calls that end a grant, as its platform's module says.
//!
//! What a call has made superfluous, or brought, is stored before the next one: whoever goes on after a crash does so from there.

use platforms::{ApiError, Platform, RefreshError, RevocationPlan, RevocationScope, RevokeOutcome, Tokens};
use protocol::fault::chain;
use protocol::secret::Secret;
use store::{EncryptedTokens, RevokeScope, Task};

use super::attempt::{Revoker, TryError};
use crate::call::digest;
use crate::platform::{decrypt_tokens, encrypt_tokens};

impl Revoker {
    /// Gives back what ends the task's grant.
    pub(super) async fn end(&self, task: &Task) -> Result<RevokeOutcome, TryError> {
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
            RevocationPlan::ValidAccessToken => self.give_good_access_token(task, platform, (&tokens, scope)).await,
            RevocationPlan::EachToken => self.give_each_token(task, platform, (&tokens, scope)).await,
        }
    }

    /// Asks whose tokens these are, at a platform that ends no token alone: then all of the grant may be ended, unless it is linked.
    async fn find_owner(
        &self,
        task: &Task,
        platform: &dyn Platform,
        tokens: &Tokens,
    ) -> Result<RevocationScope, TryError> {
        let owner = match platform.profile(tokens).await {
            Ok(owner) => owner,
            // Dead tokens end nothing, and need not.
            Err(ApiError::Refused(_)) => return Ok(at_platform(task.revocation.scope)),
            Err(error) => return Err(error.into()),
        };
        let scope = self.queue.set_task_owner(task, &owner.platform_user_id).await?;
        scope.map(at_platform).ok_or(TryError::LeaseLost)
    }

    /// The access token, or the one that its refresh token brings: where it has expired, or its platform does not know it.
    async fn give_good_access_token(
        &self,
        task: &Task,
        platform: &dyn Platform,
        (tokens, scope): (&Tokens, RevocationScope),
    ) -> Result<RevokeOutcome, TryError> {
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
            Err(TryError::Store(error)) => {
                // Nobody else has these tokens: given back later, they may be given back never.
                tracing::warn!(
                    error = chain(&error),
                    "the renewed tokens of a revocation are not stored"
                );
                scope
            }
            kept => kept?,
        };
        Ok(platform.revoke(&renewed.access, scope).await?)
    }

    /// The refresh token first, from which others come. Its answer tells of the grant: the access token may have died with it.
    async fn give_each_token(
        &self,
        task: &Task,
        platform: &dyn Platform,
        (tokens, mut scope): (&Tokens, RevocationScope),
    ) -> Result<RevokeOutcome, TryError> {
        let mut first = None;
        if let Some(refresh) = &tokens.refresh {
            first = Some(platform.revoke(refresh, scope).await?);
            let left = EncryptedTokens {
                refresh: None,
                ..task.revocation.tokens.clone()
            };
            scope = self.keep(task, &left).await?;
        }
        // Another link of the same account may have come meanwhile, of which nothing may be ended with this one.
        if has_expired(tokens) || platform.revocation(scope) == RevocationPlan::Nothing {
            return Ok(first.unwrap_or(RevokeOutcome::Ended));
        }
        let second = platform.revoke(&tokens.access, scope).await?;
        Ok(first.unwrap_or(second))
    }

    /// Whether the user's link holds these very tokens: a platform may issue the same ones when an account is linked anew.
    async fn is_linked_with(&self, task: &Task, tokens: &Tokens) -> Result<bool, TryError> {
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

    /// Stores what is still to be given back, and says how much may be ended with it by now.
    async fn keep(&self, task: &Task, left: &EncryptedTokens) -> Result<RevocationScope, TryError> {
        let scope = self.queue.replace_task_tokens(&task.id, left).await?;
        scope.map(at_platform).ok_or(TryError::LeaseLost)
    }

    fn open(&self, task: &Task, sealed: &EncryptedTokens) -> Result<Tokens, TryError> {
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
