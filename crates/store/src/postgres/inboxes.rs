//! Inboxes of bots. Each operation is one statement.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::AccountType;
use serde_json::Value;
use tokio_postgres::Row;

use super::PgStore;
use super::error::Failure;
use crate::StoreError;
use crate::inboxes::{InboxLease, Inboxes};
use crate::step::Step;

#[async_trait]
impl Inboxes for PgStore {
    async fn lease_inbox(&self, platform: AccountType, ttl: Duration) -> Result<Option<InboxLease>, StoreError> {
        let step = Step::LeaseInbox;
        let take = "INSERT INTO inboxes (account_type, fence, leased_until) \
                    SELECT $1, 1, now() + $2 * interval '1 second' \
                    WHERE NOT EXISTS (SELECT FROM pauses WHERE account_type = $1 AND until > now()) \
                    ON CONFLICT (account_type) DO UPDATE \
                    SET fence = inboxes.fence + 1, leased_until = excluded.leased_until \
                    WHERE inboxes.next_at <= now() \
                    AND (inboxes.leased_until IS NULL OR inboxes.leased_until <= now()) \
                    RETURNING fence, cursor";
        let rows = self
            .pool
            .query(step, take, &[&platform.as_str(), &ttl.as_secs_f64()])
            .await?;
        let lease = |row: &Row| {
            Ok(InboxLease {
                platform,
                fence: row.try_get("fence")?,
                cursor: row.try_get("cursor")?,
            })
        };
        let taken = rows.first().map(lease).transpose();
        taken.map_err(|failure: Failure| self.pool.report(step, failure))
    }

    async fn finish_inbox(
        &self,
        lease: &InboxLease,
        cursor: Option<&Value>,
        next: Duration,
    ) -> Result<bool, StoreError> {
        let finish = "UPDATE inboxes SET cursor = coalesce($3, cursor), leased_until = NULL, \
                      next_at = now() + $4 * interval '1 second' \
                      WHERE account_type = $1 AND fence = $2 RETURNING 1";
        let (platform, next) = (lease.platform.as_str(), next.as_secs_f64());
        let finished = self
            .pool
            .query(
                Step::FinishReadOfInbox,
                finish,
                &[&platform, &lease.fence, &cursor, &next],
            )
            .await?;
        Ok(!finished.is_empty())
    }
}
