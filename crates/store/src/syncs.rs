//! Account syncs: when each account is due, the lease of the worker that syncs it, and pauses that platforms ask for.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::{AccountType, UserAccount};
use protocol::cluster::envelope::Envelope;
use protocol::id::{SessionId, UserId};

use crate::StoreError;
use crate::accounts::Credentials;
use crate::answers::Receipt;
use crate::queue::PlatformCapacity;
use crate::vault::Ciphertext;

/// Sync schedule and leases of accounts. One worker at a time calls a platform about an account, on command or on schedule: it
/// holds the account's [`SyncLease`] while it renews it. A worker whose lease has expired can change nothing (fencing).
#[async_trait]
pub trait Syncs: Send + Sync {
    /// Leases accounts that are due, up to the capacity of each platform, longest due first. Accounts without tokens are never
    /// due, nor are disconnected or paused ones.
    ///
    /// # Errors
    /// [`StoreError`]; a lease that was taken but not returned expires by itself.
    async fn lease_due_syncs(
        &self,
        capacities: &[PlatformCapacity],
        ttl: Duration,
    ) -> Result<Vec<LeasedSync>, StoreError>;

    /// Leases an account, due or not, for a session that asks.
    ///
    /// # Errors
    /// [`StoreError`]; a lease that was taken but not returned expires by itself. [`StoreError::SessionEnded`] for the session.
    async fn lease_sync(
        &self,
        (user, session): (&UserId, &SessionId),
        account: AccountType,
        ttl: Duration,
    ) -> Result<SyncLeaseOutcome, StoreError>;

    /// Renews a lease for this long from now. False if the lease was lost.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn renew_sync_lease(&self, lease: &SyncLease, ttl: Duration) -> Result<bool, StoreError>;

    /// Publishes that a sync has started, for a session that asked. It needs no receipt, as it commits nothing else.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn begin_sync(&self, lease: &SyncLease, session: &SessionId, syncing: &Envelope) -> Result<(), StoreError>;

    /// Records the result of a sync and releases its lease. The receipt is absent if no client asked. For a session that has
    /// ended, records only the pause that the platform asks for.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn finish_sync(&self, sync: &FinishedSync, receipt: Option<&Receipt>) -> Result<SyncOutcome, StoreError>;
}

/// Lease of an account's sync, with a fencing token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncLease {
    /// Owner of the account.
    pub user: UserId,
    /// Platform.
    pub account: AccountType,
    /// Fencing token: incremented when another worker takes the lease and when the account is linked again.
    pub fence: i64,
}

/// Sync lease and the account as it was when the lease was taken.
#[derive(Debug, Clone)]
pub struct LeasedSync {
    /// The lease.
    pub lease: SyncLease,
    /// The account.
    pub found: Credentials,
    /// Consecutive failed syncs.
    pub failures: u32,
    /// Time since the account became due.
    pub late: Duration,
}

/// Result of [`Syncs::lease_sync`].
#[derive(Debug)]
pub enum SyncLeaseOutcome {
    /// The caller has the lease.
    Leased(Box<LeasedSync>),
    /// Another worker has the lease.
    Busy,
    /// The platform asked to wait; the remaining time.
    Paused(Duration),
    /// The platform no longer accepts the account's tokens; the user has to link the account again.
    Disconnected,
    /// No such account is linked.
    NotConnected,
}

/// Result of a sync.
#[derive(Debug, Clone)]
pub struct FinishedSync {
    /// Lease under which the sync ran.
    pub lease: SyncLease,
    /// The account as it is now: status, name, picture, scopes, `last_synced`, error.
    pub account: UserAccount,
    /// Cursor for the next sync; none keeps the old one.
    pub cursor: Option<serde_json::Value>,
    /// Events to publish with it; an event whose id is already known is skipped.
    pub events: Vec<Envelope>,
    /// Consecutive failed syncs, this one included.
    pub failures: u32,
    /// Delay until the account is due again; a pause may extend it.
    pub next_sync: Duration,
    /// Pause that the platform asks for. It never shortens an existing pause.
    pub pause: Option<Pause>,
}

/// Pause that a platform asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Duration from now.
    pub wait: Duration,
    /// Calls that are paused.
    pub scope: PauseScope,
}

/// Scope of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseScope {
    /// Calls for this account.
    Account,
    /// Calls for all accounts of the platform.
    Platform,
}

/// Result of [`Syncs::finish_sync`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncOutcome {
    /// The result is stored.
    Stored,
    /// The account was unlinked, disconnected or linked again in the meantime, or another worker has the lease; only the pause
    /// was written.
    Superseded,
    /// The session that asked has ended; only the pause was written.
    SessionEnded,
    /// An earlier delivery of the job, or another job with its idempotency key, was answered; nothing changed.
    Repeated(Ciphertext),
}
