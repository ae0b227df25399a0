//! `begin_refresh`: commits the attempt before the refresh token is sent, so that it is known after a crash.

use async_trait::async_trait;
use tokio_postgres::Row;

use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::row;
use crate::postgres::transaction::Transaction;
use crate::refreshes::{Refresh, RefreshStart};
use crate::rules::{self, AccountState, RefreshDecision};

pub(super) struct BeginRefresh<'a>(pub(super) &'a Refresh);

#[async_trait]
impl Work for BeginRefresh<'_> {
    type Outcome = RefreshStart;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<RefreshStart>, Failure> {
        let Self(refresh) = self;
        let (user, account) = (refresh.lease.user.as_str(), refresh.lease.account.as_str());
        let look = "SELECT fence, generation, coalesce(disconnected_generation = generation, false) AS disconnected, \
                 CASE WHEN sent_generation = generation THEN sends ELSE 0 END AS sends, send_id, \
                 extract(epoch FROM greatest(paused_until, \
                 (SELECT until FROM pauses WHERE pauses.account_type = accounts.account_type)) - now())\
                 ::double precision AS paused \
                 FROM accounts WHERE user_id = $1 AND account_type = $2 FOR UPDATE";
        let found = tx.query_opt(look, &[&user, &account]).await?;
        let account_state = found.as_ref().map(account_state).transpose()?;
        let sends = match rules::decide_refresh(refresh, account_state.as_ref()) {
            RefreshDecision::Reply(start) => return Ok(Ending::RollBack(start)),
            RefreshDecision::Record(sends) => sends,
        };
        let record = "UPDATE accounts SET sent_generation = generation, sends = $3, send_id = $4, \
                 next_sync_at = least(next_sync_at, now()) WHERE user_id = $1 AND account_type = $2";
        tx.execute(
            record,
            &[
                &user,
                &account,
                &i32::try_from(sends).unwrap_or(i32::MAX),
                &refresh.attempt_id,
            ],
        )
        .await?;
        Ok(Ending::Commit(rules::permission(sends)))
    }
}

fn account_state(found: &Row) -> Result<AccountState, Failure> {
    let sends: i32 = found.try_get("sends")?;
    Ok(AccountState {
        fence: found.try_get("fence")?,
        generation: found.try_get("generation")?,
        is_disconnected: found.try_get("disconnected")?,
        paused: row::seconds(found, "paused")?,
        sends: u32::try_from(sends).map_err(Failure::row)?,
        attempt_id: found.try_get("send_id")?,
    })
}
