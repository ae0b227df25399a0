//! Durable task queue: revocations that must eventually run. Tasks are leased, retried with growing delay, and given up after 8
//! tries.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::AccountType;
use protocol::id::{JobId, UserId, WorkerId};

use crate::StoreError;
use crate::tokens::{EncryptedTokens, Revocation, RevokeScope};

/// Durable task queue. One worker at a time holds the lease of a task; a worker that lost its lease can change nothing (fencing).
#[async_trait]
pub trait TaskQueue: Send + Sync {
    /// Leases due tasks for `ttl`, up to the capacity of each platform, longest due first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn lease_tasks(
        &self,
        worker: &WorkerId,
        capacities: &[PlatformCapacity],
        ttl: Duration,
    ) -> Result<Vec<Task>, StoreError>;

    /// Replaces the tokens of a leased task by those that remain to be revoked, and returns the scope that now applies. None if
    /// the lease was lost.
    ///
    /// # Errors
    /// [`StoreError`]; unless it is `Unknown`, nothing was replaced.
    async fn replace_task_tokens(
        &self,
        task: &TaskId,
        tokens: &EncryptedTokens,
    ) -> Result<Option<RevokeScope>, StoreError>;

    /// Queues the revocation of what a job's exchange issued, due after `after`, unless [`crate::Accounts::link_account`] or
    /// [`crate::PendingLinks::add_pending_link`] of that job is committed by then. The grant thus ends even if the process dies in between.
    /// Another revocation of the same job replaces it. A repeat for the same job changes nothing.
    ///
    /// # Errors
    /// [`StoreError`]; the caller retries after `Unavailable` and `Unknown`.
    async fn queue_provisional_revocation(
        &self,
        whose: (&UserId, &JobId),
        issued: &Revocation,
        after: Duration,
    ) -> Result<(), StoreError>;

    /// Sets the owner of a leased task's grant, where it was unknown, and widens the task to the whole grant unless the same
    /// platform account is linked. Returns the scope that now applies. None if the lease was lost.
    ///
    /// # Errors
    /// [`StoreError`]; unless it is `Unknown`, nothing changed.
    async fn set_task_owner(&self, task: &Task, platform_user_id: &str) -> Result<Option<RevokeScope>, StoreError>;

    /// Removes a completed task. False if the lease was lost.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn finish_task(&self, task: &TaskId) -> Result<bool, StoreError>;

    /// Schedules a task for another try, or gives it up after its eighth. False if the lease was lost.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn retry_task(&self, task: &TaskId, after: Duration, reason: &str) -> Result<bool, StoreError>;

    /// Number of tasks that were given up and are kept for an operator; counted up to [`MAX_DEAD_TASKS`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn dead_tasks(&self) -> Result<u64, StoreError>;
}

/// Bound of [`TaskQueue::dead_tasks`].
pub(crate) const MAX_DEAD_TASKS: u32 = 1_000;

/// Number of tasks or syncs that a worker can start for one platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlatformCapacity {
    /// Platform.
    pub platform: AccountType,
    /// Free permits.
    pub permits: usize,
}

impl PlatformCapacity {
    /// Takes one permit of this platform; false if none is free.
    pub(crate) fn take_permit(capacities: &mut [Self], platform: AccountType) -> bool {
        let free = |capacity: &&mut Self| capacity.platform == platform && capacity.permits > 0;
        let capacity = capacities.iter_mut().find(free);
        capacity.map(|capacity| capacity.permits -= 1).is_some()
    }
}

/// Leased task.
#[derive(Debug, Clone)]
pub struct Task {
    /// Row and fencing token.
    pub id: TaskId,
    /// Number of earlier tries.
    pub tries: u32,
    /// Owner of the grant.
    pub user: UserId,
    /// The revocation to carry out.
    pub revocation: Revocation,
}

/// Identity of a leased task: a later lease has a higher fencing token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskId {
    /// Row id.
    pub row: i64,
    /// Fencing token.
    pub fence: i64,
}
