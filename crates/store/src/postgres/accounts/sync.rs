//! `begin_sync` and `finish_sync`.

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use protocol::account::AccountType;
use protocol::cluster::envelope::Envelope;
use protocol::id::UserId;

use super::linked;
use crate::accounts::{FinishedSync, SyncWritten};
use crate::answers::Receipt;
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::row::written;
use crate::postgres::{head, outbox, receipt};

pub(super) struct BeginSync<'a> {
    pub(super) user: &'a UserId,
    pub(super) account: AccountType,
    pub(super) syncing: &'a Envelope,
}

#[async_trait]
impl Work for BeginSync<'_> {
    type Outcome = ();

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<()>, Failure> {
        head::lock_user(tx, self.user).await?;
        if linked(tx, self.user, self.account).await?.is_none() {
            return Ok(Ending::RollBack(()));
        }
        outbox::send(tx, self.user, std::slice::from_ref(self.syncing)).await?;
        Ok(Ending::Commit(()))
    }
}

pub(super) struct FinishSync<'a> {
    pub(super) sync: &'a FinishedSync,
    pub(super) receipt: &'a Receipt,
}

#[async_trait]
impl Work for FinishSync<'_> {
    type Outcome = SyncWritten;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<SyncWritten>, Failure> {
        let Self { sync, receipt } = self;
        head::lock_user(tx, &sync.user).await?;
        if let Some(answer) = receipt::repeated(tx, receipt).await? {
            return Ok(Ending::RollBack(SyncWritten::Repeated(answer)));
        }
        if !write(tx, sync).await? {
            return Ok(Ending::RollBack(SyncWritten::Overtaken));
        }
        outbox::send(tx, &sync.user, &sync.events).await?;
        receipt::remember(tx, receipt).await?;
        Ok(Ending::CommitBefore(receipt.deadline, SyncWritten::Stored))
    }
}

/// False when the generation that was synced is no longer there.
async fn write(tx: &Transaction<'_>, sync: &FinishedSync) -> Result<bool, Failure> {
    let account = &sync.account;
    let update = tx
        .prepare_cached(
            "UPDATE accounts SET username = $4, display_name = $5, avatar_url = $6, status = $7, scopes = $8, \
             last_synced = $9, error_message = $10, cursor = coalesce($11, cursor) \
             WHERE user_id = $1 AND account_type = $2 AND generation = $3",
        )
        .await?;
    let updated = tx
        .execute(
            &update,
            &[
                &sync.user.as_str(),
                &account.account_type.as_str(),
                &sync.generation,
                &account.username,
                &account.display_name,
                &account.avatar_url,
                &account.status.as_str(),
                &account.scopes,
                &account.last_synced.map(written),
                &account.error_message,
                &sync.cursor,
            ],
        )
        .await?;
    Ok(updated == 1)
}
