//! Work that must be done some time: it survives everything, is leased, retried with growing delay, and given up after 8 tries.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::AccountType;
use protocol::id::{JobId, UserId, WorkerId};

use crate::StoreError;
use crate::accounts::EncryptedTokens;

/// The durable queue. A task is leased to one worker; a worker that lost its lease can change nothing (fencing).
#[async_trait]
pub trait TaskQueue: Send + Sync {
    /// Leases due tasks for `ttl`, of each platform as many as there is room for, longest due first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn lease_tasks(
        &self,
        worker: &WorkerId,
        capacities: &[PlatformCapacity],
        ttl: Duration,
    ) -> Result<Vec<Task>, StoreError>;

    /// Replaces the tokens of a task in hand by those that are still to be given back, and says how much it may end by now. None: the
    /// lease was lost.
    ///
    /// # Errors
    /// [`StoreError`]; unless it is `Unknown`, nothing was replaced.
    async fn replace_task_tokens(
        &self,
        task: &TaskId,
        tokens: &EncryptedTokens,
    ) -> Result<Option<RevokeScope>, StoreError>;

    /// Queues what a job's exchange has issued to be given back, `after` so long, unless [`crate::Accounts::link_account`] or
    /// [`crate::PendingLinks::add_pending_link`] of that job is committed by then: whatever goes wrong in between, the end of the process too, the
    /// grant ends. What that job gives back otherwise takes its place. Queued again for the same job, it changes nothing.
    ///
    /// # Errors
    /// [`StoreError`]; to be repeated after `Unavailable` and `Unknown`.
    async fn queue_provisional_revocation(
        &self,
        whose: (&UserId, &JobId),
        issued: &Revocation,
        after: Duration,
    ) -> Result<(), StoreError>;

    /// Names whose grant a task in hand gives back, where that was not known, and widens the task to all of the grant unless the same
    /// platform account is linked. Gives how much may be ended. None: the lease was lost.
    ///
    /// # Errors
    /// [`StoreError`]; unless it is `Unknown`, nothing has changed.
    async fn set_task_owner(&self, task: &Task, platform_user_id: &str) -> Result<Option<RevokeScope>, StoreError>;

    /// Removes a task that is done. False: the lease was lost.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn finish_task(&self, task: &TaskId) -> Result<bool, StoreError>;

    /// Puts a task back for later, or gives it up after its eighth try. False: the lease was lost.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn retry_task(&self, task: &TaskId, after: Duration, why: &str) -> Result<bool, StoreError>;
}

/// How much of one platform may be taken in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlatformCapacity {
    /// Which platform.
    pub platform: AccountType,
    /// So many.
    pub permits: usize,
}

impl PlatformCapacity {
    /// Takes a place of this platform; false where there is none.
    pub(crate) fn fill(capacities: &mut [Self], platform: AccountType) -> bool {
        let free = |capacity: &&mut Self| capacity.platform == platform && capacity.permits > 0;
        let capacity = capacities.iter_mut().find(free);
        capacity.map(|capacity| capacity.permits -= 1).is_some()
    }
}

/// A leased task.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its name and fence.
    pub id: TaskId,
    /// How many times it was tried before.
    pub tries: u32,
    /// Whose.
    pub user: UserId,
    /// What to do.
    pub revocation: Revocation,
}

/// A task as leased: a later lease of the same task has a higher fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskId {
    /// The row.
    pub row: i64,
    /// The lease.
    pub fence: i64,
}

/// A grant to give back at its platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Which platform.
    pub account: AccountType,
    /// Whose grant it is there; empty where that is not known. Such a revocation is never wider than its token.
    pub platform_user_id: String,
    /// All tokens of the link, sealed as they were in the account's row: which of them end the grant, its platform's module knows.
    pub tokens: EncryptedTokens,
    /// How much of it. The store narrows `Grant` to `Token` while another link of the same platform account lives.
    pub scope: RevokeScope,
}

/// What a token is, and the column that the vault binds it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenColumn {
    /// An access token.
    Access,
    /// A refresh token.
    Refresh,
}

impl TokenColumn {
    /// The name in rows and in the vault's bindings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access_token",
            Self::Refresh => "refresh_token",
        }
    }
}

/// How much a revocation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RevokeScope {
    /// All that the user granted to the application.
    Grant,
    /// This token alone.
    Token,
}

impl RevokeScope {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Grant, Self::Token];

    /// The name in rows and metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Token => "token",
        }
    }
}
