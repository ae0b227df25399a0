//! Webhook deliveries.

use std::collections::BTreeSet;

use async_trait::async_trait;
use protocol::account::AccountType;
use protocol::id::UserId;

use super::error::Failure;
use super::pool::{Ending, Work};
use super::transaction::Transaction;
use super::{PgStore, locks, outbox, row};
use crate::StoreError;
use crate::deliveries::{Deliveries, Delivery, DeliveryOutcome};
use crate::step::Step;

#[async_trait]
impl Deliveries for PgStore {
    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<DeliveryOutcome, StoreError> {
        self.pool.transact(Step::DeliverNotifications, &Deliver(delivery)).await
    }
}

struct Deliver<'a>(&'a Delivery<'a>);

#[async_trait]
impl Work for Deliver<'_> {
    type Outcome = DeliveryOutcome;

    /// Locks the delivery's id before any head row, and the head rows in order, so that deliveries with common users cannot
    /// deadlock.
    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<DeliveryOutcome>, Failure> {
        let Self(delivery) = self;
        if let Some(id) = delivery.id
            && !is_new(tx, delivery.platform, id).await?
        {
            return Ok(Ending::RollBack(DeliveryOutcome::Repeated));
        }
        let mut notified = Vec::new();
        for user in linked(tx, delivery).await? {
            locks::lock_user(tx, &user, None).await?;
            // The account may have been unlinked between the query and the lock.
            let Some(platform_user_id) = platform_user_id(tx, &user, delivery.platform).await? else {
                continue;
            };
            let theirs = (delivery.events_for)(&user, &platform_user_id);
            if outbox::send(tx, &user, &theirs).await? > 0 {
                notified.push(user);
            }
        }
        make_due(tx, delivery).await?;
        Ok(Ending::Commit(DeliveryOutcome::Delivered(notified)))
    }
}

/// Locks accounts in one order, after the head rows, so that transactions with one of these locks wait for none of this one's.
async fn make_due(tx: &Transaction<'_>, delivery: &Delivery<'_>) -> Result<(), Failure> {
    if delivery.due.is_empty() {
        return Ok(());
    }
    let update = "WITH changed AS (SELECT user_id, account_type FROM accounts \
             WHERE account_type = $1 AND platform_user_id = ANY($2) ORDER BY user_id FOR UPDATE) \
             UPDATE accounts SET next_sync_at = least(next_sync_at, now()) FROM changed \
             WHERE accounts.user_id = changed.user_id AND accounts.account_type = changed.account_type";
    tx.execute(update, &[&delivery.platform.as_str(), &delivery.due])
        .await?;
    Ok(())
}

/// Records a delivery; false if it was recorded before. Waits for a concurrent transaction of the same delivery.
async fn is_new(tx: &Transaction<'_>, platform: AccountType, id: &str) -> Result<bool, Failure> {
    let record = "INSERT INTO webhook_deliveries (account_type, delivery_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    Ok(tx.execute(record, &[&platform.as_str(), &id]).await? > 0)
}

/// Users who linked an addressee, in the order in which head rows are locked.
async fn linked(tx: &Transaction<'_>, delivery: &Delivery<'_>) -> Result<BTreeSet<UserId>, Failure> {
    let find = "SELECT user_id FROM accounts WHERE account_type = $1 AND platform_user_id = ANY($2)";
    let rows = tx
        .query(find, &[&delivery.platform.as_str(), &delivery.addressees])
        .await?;
    rows.iter().map(row::user).collect()
}

async fn platform_user_id(
    tx: &Transaction<'_>,
    user: &UserId,
    platform: AccountType,
) -> Result<Option<String>, Failure> {
    let find = "SELECT platform_user_id FROM accounts WHERE user_id = $1 AND account_type = $2";
    let found = tx.query_opt(find, &[&user.as_str(), &platform.as_str()]).await?;
    Ok(found.map(|row| row.try_get(0)).transpose()?)
}
