//! `finish_refresh`.

use async_trait::async_trait;

use crate::postgres::error::Failure;
use crate::postgres::parameter::Parameter;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::row::token_columns;
use crate::postgres::transaction::Transaction;
use crate::postgres::{locks, queue};
use crate::refreshes::{RefreshOutcome, RefreshedTokens};

pub(super) struct FinishRefresh<'a>(pub(super) &'a RefreshedTokens);

#[async_trait]
impl Work for FinishRefresh<'_> {
    type Outcome = RefreshOutcome;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<RefreshOutcome>, Failure> {
        let Self(refreshed) = self;
        let (lease, revocation) = (&refreshed.lease, &refreshed.revocation);
        locks::lock_user(tx, &lease.user, None).await?;
        locks::lock_platform_account(tx, revocation.account, &revocation.platform_user_id).await?;
        if let Some(generation) = replace(tx, refreshed).await? {
            return Ok(Ending::Commit(RefreshOutcome::Stored(generation)));
        }
        if let Some(generation) = stored_before(tx, refreshed).await? {
            return Ok(Ending::RollBack(RefreshOutcome::Stored(generation)));
        }
        queue::revoke(tx, &lease.user, Some(revocation)).await?;
        Ok(Ending::Commit(RefreshOutcome::Superseded))
    }
}

/// Replaces the tokens and returns the new generation; none if the account has another generation or is disconnected.
async fn replace(tx: &Transaction<'_>, refreshed: &RefreshedTokens) -> Result<Option<i64>, Failure> {
    let RefreshedTokens { lease, tokens, .. } = refreshed;
    let replace = "UPDATE accounts SET access_token = $4, refresh_token = $5, token_expires_at = $6, \
             generation = nextval('account_generations') \
             WHERE user_id = $1 AND account_type = $2 AND generation = $3 AND disconnected_generation IS DISTINCT FROM generation \
             RETURNING generation";
    let (access, refresh, expires_at) = token_columns(Some(tokens));
    let values: [&dyn Parameter; 6] = [
        &lease.user.as_str(),
        &lease.account.as_str(),
        &refreshed.generation,
        &access,
        &refresh,
        &expires_at,
    ];
    let replaced = tx.query_opt(replace, &values).await?;
    Ok(replaced.map(|row| row.try_get("generation")).transpose()?)
}

/// Generation under which these very tokens are stored, after a commit whose answer was lost.
async fn stored_before(tx: &Transaction<'_>, refreshed: &RefreshedTokens) -> Result<Option<i64>, Failure> {
    let lease = &refreshed.lease;
    let look = "SELECT generation FROM accounts WHERE user_id = $1 AND account_type = $2 AND access_token = $3 \
             AND disconnected_generation IS DISTINCT FROM generation";
    let access = refreshed.tokens.access.as_bytes();
    let found = tx
        .query_opt(look, &[&lease.user.as_str(), &lease.account.as_str(), &access])
        .await?;
    Ok(found.map(|row| row.try_get("generation")).transpose()?)
}
