//! `begin_refresh`: committed before the refresh token leaves, so that whoever comes after a crash knows of it.

use async_trait::async_trait;
use tokio_postgres::Row;

use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::row;
use crate::postgres::transaction::Transaction;
use crate::refreshes::{Refresh, RefreshStart};
use crate::rules::{self, Sending, Standing};

pub(super) struct BeginRefresh<'a>(pub(super) &'a Refresh);

#[async_trait]
impl Work for BeginRefresh<'_> {
    type Outcome = RefreshStart;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<RefreshStart>, Failure> {
        let Self(refresh) = self;
        let (user, account) = (refresh.lease.user.as_str(), refresh.lease.account.as_str());
        let look = "SELECT fence, generation, coalesce(lost_generation = generation, false) AS lost, \
                 CASE WHEN sent_generation = generation THEN sends ELSE 0 END AS sends, send_id, \
                 extract(epoch FROM greatest(paused_until, \
                 (SELECT until FROM pauses WHERE pauses.account_type = accounts.account_type)) - now())\
                 ::double precision AS paused \
                 FROM accounts WHERE user_id = $1 AND account_type = $2 FOR UPDATE";
        let found = tx.query_opt(look, &[&user, &account]).await?;
        let standing = found.as_ref().map(standing).transpose()?;
        let sends = match rules::send(refresh, standing.as_ref()) {
            Sending::Nothing(start) => return Ok(Ending::RollBack(start)),
            Sending::Counts(sends) => sends,
        };
        let record = "UPDATE accounts SET sent_generation = generation, sends = $3, send_id = $4, \
                 next_sync_at = least(next_sync_at, now()) WHERE user_id = $1 AND account_type = $2";
        tx.execute(
            record,
            &[
                &user,
                &account,
                &i32::try_from(sends).unwrap_or(i32::MAX),
                &refresh.sending,
            ],
        )
        .await?;
        Ok(Ending::Commit(rules::permission(sends)))
    }
}

fn standing(found: &Row) -> Result<Standing, Failure> {
    let sends: i32 = found.try_get("sends")?;
    Ok(Standing {
        fence: found.try_get("fence")?,
        generation: found.try_get("generation")?,
        is_lost: found.try_get("lost")?,
        paused: row::seconds(found, "paused")?,
        sends: u32::try_from(sends).map_err(Failure::row)?,
        sending: found.try_get("send_id")?,
    })
}
