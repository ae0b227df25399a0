//! Sync leases. Lease operations are single statements in this file; the end of a sync is a transaction in a file of its own.

mod finish;
mod lease;

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::AccountType;
use protocol::cluster::envelope::Envelope;
use protocol::id::{SessionId, UserId};

use self::finish::{BeginSync, FinishSync};
use self::lease::LeaseSync;
use super::{PgStore, row};
use crate::StoreError;
use crate::answers::Receipt;
use crate::queue::PlatformCapacity;
use crate::step::Step;
use crate::syncs::{FinishedSync, LeasedSync, SyncLease, SyncLeaseOutcome, SyncOutcome, Syncs};

#[async_trait]
impl Syncs for PgStore {
    async fn lease_due_syncs(
        &self,
        capacities: &[PlatformCapacity],
        ttl: Duration,
    ) -> Result<Vec<LeasedSync>, StoreError> {
        let step = Step::LeaseDueSyncs;
        let lease = "UPDATE accounts SET fence = nextval('account_generations'), \
                    leased_until = now() + $3 * interval '1 second' \
                    WHERE (user_id, account_type) IN (SELECT due.user_id, due.account_type \
                    FROM unnest($1::text[], $2::bigint[]) AS capacity (platform, permits) \
                    CROSS JOIN LATERAL (SELECT user_id, account_type FROM accounts \
                    WHERE account_type = capacity.platform AND next_sync_at <= now() \
                    AND disconnected_generation IS DISTINCT FROM generation AND access_token IS NOT NULL \
                    AND (leased_until IS NULL OR leased_until <= now()) \
                    AND (paused_until IS NULL OR paused_until <= now()) \
                    AND account_type NOT IN (SELECT account_type FROM pauses WHERE until > now()) \
                    ORDER BY next_sync_at LIMIT capacity.permits FOR UPDATE SKIP LOCKED) AS due) \
                    RETURNING user_id, account_type, platform_user_id, username, display_name, avatar_url, status, \
                    scopes, connected_at, last_synced, error_message, access_token, refresh_token, token_expires_at, \
                    generation, cursor, fence, failures, \
                    extract(epoch FROM now() - next_sync_at)::double precision AS late";
        let (platforms, permits) = row::capacity_columns(capacities);
        let rows = self
            .pool
            .query(step, lease, &[&platforms, &permits, &ttl.as_secs_f64()])
            .await?;
        let leased = rows.iter().map(row::leased_sync).collect::<Result<_, _>>();
        leased.map_err(|failure| self.pool.report(step, failure))
    }

    async fn lease_sync(
        &self,
        (user, session): (&UserId, &SessionId),
        account: AccountType,
        ttl: Duration,
    ) -> Result<SyncLeaseOutcome, StoreError> {
        let work = LeaseSync {
            user,
            session,
            account,
            ttl,
        };
        self.pool.transact(Step::LeaseSync, &work).await
    }

    async fn renew_sync_lease(&self, lease: &SyncLease, ttl: Duration) -> Result<bool, StoreError> {
        let renew = "UPDATE accounts SET leased_until = now() + $4 * interval '1 second' \
                    WHERE user_id = $1 AND account_type = $2 AND fence = $3 RETURNING 1";
        let ttl = ttl.as_secs_f64();
        let renewed = self
            .pool
            .query(
                Step::RenewLeaseOfSync,
                renew,
                &[&lease.user.as_str(), &lease.account.as_str(), &lease.fence, &ttl],
            )
            .await?;
        Ok(!renewed.is_empty())
    }

    async fn begin_sync(&self, lease: &SyncLease, session: &SessionId, syncing: &Envelope) -> Result<(), StoreError> {
        let work = BeginSync {
            lease,
            session,
            syncing,
        };
        self.pool.transact(Step::AnnounceSync, &work).await
    }

    async fn finish_sync(&self, sync: &FinishedSync, receipt: Option<&Receipt>) -> Result<SyncOutcome, StoreError> {
        self.pool.transact(Step::StoreSync, &FinishSync { sync, receipt }).await
    }
}
