//! `mark_disconnected`.

use async_trait::async_trait;
use protocol::account::AccountStatus;
use tokio::time::Instant;

use crate::answers::Receipt;
use crate::audit::Entry;
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::transaction::Transaction;
use crate::postgres::{audit, locks, outbox};
use crate::refreshes::{DisconnectOutcome, DisconnectedLink};
use crate::vault::AuditKeys;

pub(super) struct MarkDisconnected<'a> {
    pub(super) link: &'a DisconnectedLink,
    pub(super) receipt: &'a Receipt,
    pub(super) audit: &'a AuditKeys,
}

#[async_trait]
impl Work for MarkDisconnected<'_> {
    type Outcome = DisconnectOutcome;

    fn deadline(&self) -> Option<Instant> {
        Some(self.receipt.deadline)
    }

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<DisconnectOutcome>, Failure> {
        let Self { link, receipt, audit } = self;
        let lease = &link.lease;
        let (user, account) = (lease.user.as_str(), lease.account.as_str());
        locks::lock_user(tx, &lease.user, None).await?;
        let look = "SELECT generation, coalesce(disconnected_generation = generation, false) AS disconnected, platform_user_id \
                 FROM accounts WHERE user_id = $1 AND account_type = $2 FOR UPDATE";
        let Some(found) = tx.query_opt(look, &[&user, &account]).await? else {
            return Ok(Ending::RollBack(DisconnectOutcome::NotConnected));
        };
        if found.try_get::<_, i64>("generation")? != link.generation {
            return Ok(Ending::RollBack(DisconnectOutcome::TokensReplaced));
        } else if found.try_get("disconnected")? {
            return Ok(Ending::RollBack(DisconnectOutcome::Disconnected));
        }
        let mark = "UPDATE accounts SET disconnected_generation = generation, leased_until = NULL, status = $3, error_message = $4 \
                 WHERE user_id = $1 AND account_type = $2";
        let status = AccountStatus::Error.as_str();
        tx.execute(mark, &[&user, &account, &status, &link.error_message])
            .await?;
        outbox::send(tx, &lease.user, &link.events).await?;
        let entry = Entry::of_disconnected_link(lease.account, found.try_get("platform_user_id")?);
        audit::append(tx, audit, &lease.user, entry, receipt).await?;
        Ok(Ending::Commit(DisconnectOutcome::Disconnected))
    }
}
