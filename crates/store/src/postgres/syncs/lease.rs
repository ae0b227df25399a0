//! `lease_sync`.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::AccountType;
use protocol::id::{SessionId, UserId};

use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::transaction::Transaction;
use crate::postgres::{row, session_check};
use crate::syncs::SyncLeaseOutcome;

pub(super) struct LeaseSync<'a> {
    pub(super) user: &'a UserId,
    pub(super) session: &'a SessionId,
    pub(super) account: AccountType,
    pub(super) ttl: Duration,
}

#[async_trait]
impl Work for LeaseSync<'_> {
    type Outcome = SyncLeaseOutcome;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<SyncLeaseOutcome>, Failure> {
        let (user, account) = (self.user.as_str(), self.account.as_str());
        let look = "SELECT coalesce(disconnected_generation = generation, false) AS disconnected, \
                 coalesce(leased_until > now(), false) AS busy, \
                 extract(epoch FROM greatest(paused_until, \
                 (SELECT until FROM pauses WHERE pauses.account_type = accounts.account_type)) - now())\
                 ::double precision AS paused \
                 FROM accounts WHERE user_id = $1 AND account_type = $2 FOR UPDATE";
        let found = tx.query_opt(look, &[&user, &account]).await?;
        session_check::refuse_ended(tx, self.user, Some(self.session)).await?;
        let Some(found) = found else {
            return Ok(Ending::RollBack(SyncLeaseOutcome::NotConnected));
        };
        let paused = row::seconds(&found, "paused")?;
        if found.try_get("disconnected")? {
            return Ok(Ending::RollBack(SyncLeaseOutcome::Disconnected));
        } else if !paused.is_zero() {
            return Ok(Ending::RollBack(SyncLeaseOutcome::Paused(paused)));
        } else if found.try_get("busy")? {
            return Ok(Ending::RollBack(SyncLeaseOutcome::Busy));
        }
        let lease = "UPDATE accounts SET fence = nextval('account_generations'), \
                 leased_until = now() + $3 * interval '1 second' WHERE user_id = $1 AND account_type = $2 \
                 RETURNING user_id, account_type, platform_user_id, username, display_name, avatar_url, status, scopes, \
                 connected_at, last_synced, error_message, access_token, refresh_token, token_expires_at, generation, \
                 cursor, fence, failures, extract(epoch FROM now() - next_sync_at)::double precision AS late";
        let leased = tx.query_one(lease, &[&user, &account, &self.ttl.as_secs_f64()]).await?;
        Ok(Ending::Commit(SyncLeaseOutcome::Leased(Box::new(row::leased_sync(
            &leased,
        )?))))
    }
}
