//! Work that must be done some time.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::{JobId, UserId, WorkerId};

use super::MemoryStore;
use super::pauses::left;
use super::state::{QueuedTask, State};
use crate::StoreError;
use crate::accounts::EncryptedTokens;
use crate::queue::{PlatformCapacity, Revocation, RevokeScope, Task, TaskId, TaskQueue};
use crate::rules::{self, LAST_TRY};

#[async_trait]
impl TaskQueue for MemoryStore {
    async fn lease_tasks(
        &self,
        _worker: &WorkerId,
        capacities: &[PlatformCapacity],
        ttl: Duration,
    ) -> Result<Vec<Task>, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let State { tasks, pauses, .. } = &mut *state;
        let paused = |task: &QueuedTask| {
            let until = pauses.get(task.revocation.account.as_str());
            !left(until.copied(), now).is_zero()
        };
        let free = tasks.iter_mut().filter(|(_, task)| {
            !task.dead && task.due_at <= now && task.leased_until.is_none_or(|until| until <= now) && !paused(task)
        });
        let mut capacities = capacities.to_vec();
        let mut leased = Vec::new();
        for (row, task) in free {
            if task.tries >= LAST_TRY {
                // Its last worker was lost with it.
                task.dead = true;
                continue;
            }
            if !PlatformCapacity::fill(&mut capacities, task.revocation.account) {
                continue;
            }
            task.fence += 1;
            task.leased_until = Some(now + ttl);
            leased.push(Task {
                id: TaskId {
                    row: *row,
                    fence: task.fence,
                },
                tries: task.tries,
                user: task.user.clone(),
                revocation: task.revocation.clone(),
            });
            task.tries += 1;
        }
        Ok(leased)
    }

    async fn replace_task_tokens(
        &self,
        task: &TaskId,
        tokens: &EncryptedTokens,
    ) -> Result<Option<RevokeScope>, StoreError> {
        let mut state = self.state();
        Ok(held(&mut state, task).map(|task| {
            task.revocation.tokens = tokens.clone();
            task.revocation.scope
        }))
    }

    async fn queue_provisional_revocation(
        &self,
        (user, job): (&UserId, &JobId),
        issued: &Revocation,
        after: Duration,
    ) -> Result<(), StoreError> {
        let due_at = self.now() + after;
        let mut state = self.state();
        if !state.tasks.values().any(|task| task.job.as_ref() == Some(job)) {
            let task = QueuedTask {
                job: Some(job.clone()),
                ..QueuedTask::new(user, issued.clone(), due_at)
            };
            let number = state.next_number();
            state.tasks.insert(number, task);
        }
        Ok(())
    }

    async fn set_task_owner(&self, task: &Task, platform_user_id: &str) -> Result<Option<RevokeScope>, StoreError> {
        let mut state = self.state();
        let shared = state.is_linked(task.revocation.account, platform_user_id);
        Ok(held(&mut state, &task.id).map(|task| {
            task.revocation.platform_user_id = platform_user_id.to_owned();
            task.revocation.scope = rules::narrowed(RevokeScope::Grant, shared);
            task.revocation.scope
        }))
    }

    async fn finish_task(&self, task: &TaskId) -> Result<bool, StoreError> {
        let mut state = self.state();
        let held = held(&mut state, task).is_some();
        if held {
            state.tasks.remove(&task.row);
        }
        Ok(held)
    }

    async fn retry_task(&self, task: &TaskId, after: Duration, _why: &str) -> Result<bool, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let Some(task) = held(&mut state, task) else {
            return Ok(false);
        };
        task.leased_until = None;
        task.due_at = now + after;
        task.dead = task.tries >= LAST_TRY;
        Ok(true)
    }
}

/// The task, if this lease of it still counts: one that has run out counts until another worker has taken the task.
fn held<'a>(state: &'a mut State, id: &TaskId) -> Option<&'a mut QueuedTask> {
    let task = state.tasks.get_mut(&id.row)?;
    (task.fence == id.fence && task.leased_until.is_some() && !task.dead).then_some(task)
}
