//! Syncs: when each account's turn comes, who has it, and what platforms ask to wait.

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

/// Who may ask a platform about an account. That is one worker at a time, whether a client asked for it or its time has come: it
/// has the account's [`SyncLease`] for as long as it gives signs of life, and a worker that lost its turn can change nothing (fencing).
#[async_trait]
pub trait Syncs: Send + Sync {
    /// Takes the turns of accounts that are due, of each platform as many as there is room for, longest due first. Accounts without tokens
    /// are never due, and neither are those that were lost or whose platform asked to wait.
    ///
    /// # Errors
    /// [`StoreError`]; turns that were taken and not told end with their lease.
    async fn lease_due_syncs(
        &self,
        capacities: &[PlatformCapacity],
        ttl: Duration,
    ) -> Result<Vec<LeasedSync>, StoreError>;

    /// Takes the turn of this account, due or not, for a session that asks.
    ///
    /// # Errors
    /// [`StoreError`]; a turn that was taken and not told ends with its lease. [`StoreError::SessionEnded`] for the session.
    async fn lease_sync(
        &self,
        (user, session): (&UserId, &SessionId),
        account: AccountType,
        ttl: Duration,
    ) -> Result<SyncLeaseOutcome, StoreError>;

    /// A sign of life: the turn lasts so long from now. False: it was lost.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn renew_sync_lease(&self, lease: &SyncLease, ttl: Duration) -> Result<bool, StoreError>;

    /// Publishes that a sync has begun, for a session that asked. No receipt: it changes nothing that is promised.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn begin_sync(&self, lease: &SyncLease, session: &SessionId, syncing: &Envelope) -> Result<(), StoreError>;

    /// Records how a sync ended, and lets the turn go. Without a receipt where no client asked for it. Of a session that has ended, only
    /// what the platform asks to wait is recorded.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn finish_sync(&self, sync: &FinishedSync, receipt: Option<&Receipt>) -> Result<SyncOutcome, StoreError>;
}

/// The right to ask an account's platform. Each has a higher fence than the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncLease {
    /// Whose account.
    pub user: UserId,
    /// Which platform.
    pub account: AccountType,
    /// Moves when somebody else takes the turn, and when the account is linked anew.
    pub fence: i64,
}

/// A turn that was taken, and the account as it was then.
#[derive(Debug, Clone)]
pub struct LeasedSync {
    /// The turn.
    pub lease: SyncLease,
    /// The account.
    pub found: Credentials,
    /// How many syncs in a row have failed.
    pub failures: u32,
    /// How long it had been due.
    pub late: Duration,
}

/// Whether a turn could be taken.
#[derive(Debug)]
pub enum SyncLeaseOutcome {
    /// It is the caller's.
    LeasedSync(Box<LeasedSync>),
    /// Somebody else has it.
    Busy,
    /// The platform asked to wait, and so long is left.
    Paused(Duration),
    /// The platform no longer takes the account's tokens: only its user can help, by linking it anew.
    Disconnected,
    /// No such account is linked.
    NotConnected,
}

/// How a sync ended.
#[derive(Debug, Clone)]
pub struct FinishedSync {
    /// The turn that it was done in.
    pub lease: SyncLease,
    /// The account as it is now: status, name, picture, scopes, `last_synced`, error.
    pub account: UserAccount,
    /// Where to go on next time; none keeps the old one.
    pub cursor: Option<serde_json::Value>,
    /// Published with it; an event whose id is known already is left out.
    pub events: Vec<Envelope>,
    /// How many syncs in a row have failed with this one.
    pub failures: u32,
    /// How long from now until the account is due again; a pause may make it longer.
    pub next_sync: Duration,
    /// What the platform asks to wait. It never shortens a pause that is there.
    pub pause: Option<Pause>,
}

/// A platform asks to be left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// From now.
    pub wait: Duration,
    /// By whom.
    pub of: Paused,
}

/// Who leaves a platform alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paused {
    /// Calls for this account.
    Account,
    /// Calls for all accounts of the platform.
    Platform,
}

/// What became of a finished sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncOutcome {
    /// Stored.
    Stored,
    /// The account was unlinked, lost or linked anew meanwhile, or somebody else has the turn; nothing was written but the pause.
    Superseded,
    /// The session that asked has ended; nothing was written but the pause.
    SessionEnded,
    /// This job, or its idempotency key, was answered before; nothing was done.
    Repeated(Ciphertext),
}
