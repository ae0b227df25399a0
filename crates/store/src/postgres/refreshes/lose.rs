//! `lose_link`.

use async_trait::async_trait;
use protocol::account::AccountStatus;
use tokio::time::Instant;

use crate::answers::Receipt;
use crate::audit::Entry;
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::transaction::Transaction;
use crate::postgres::{audit, head, outbox};
use crate::refreshes::{LossWritten, LostLink};
use crate::vault::AuditKeys;

pub(super) struct LoseLink<'a> {
    pub(super) lost: &'a LostLink,
    pub(super) receipt: &'a Receipt,
    pub(super) audit: &'a AuditKeys,
}

#[async_trait]
impl Work for LoseLink<'_> {
    type Outcome = LossWritten;

    fn deadline(&self) -> Option<Instant> {
        Some(self.receipt.deadline)
    }

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<LossWritten>, Failure> {
        let Self { lost, receipt, audit } = self;
        let turn = &lost.turn;
        let (user, account) = (turn.user.as_str(), turn.account.as_str());
        head::lock_user(tx, &turn.user, None).await?;
        let look = "SELECT generation, coalesce(lost_generation = generation, false) AS lost, platform_user_id \
                 FROM accounts WHERE user_id = $1 AND account_type = $2 FOR UPDATE";
        let Some(found) = tx.query_opt(look, &[&user, &account]).await? else {
            return Ok(Ending::RollBack(LossWritten::NotConnected));
        };
        if found.try_get::<_, i64>("generation")? != lost.generation {
            return Ok(Ending::RollBack(LossWritten::Moved));
        } else if found.try_get("lost")? {
            return Ok(Ending::RollBack(LossWritten::Lost));
        }
        let lose = "UPDATE accounts SET lost_generation = generation, leased_until = NULL, status = $3, error_message = $4 \
                 WHERE user_id = $1 AND account_type = $2";
        let status = AccountStatus::Error.as_str();
        tx.execute(lose, &[&user, &account, &status, &lost.error_message])
            .await?;
        outbox::send(tx, &turn.user, &lost.events).await?;
        let entry = Entry::of_lost_link(turn.account, found.try_get("platform_user_id")?);
        audit::append(tx, audit, &turn.user, entry, receipt).await?;
        Ok(Ending::Commit(LossWritten::Lost))
    }
}
