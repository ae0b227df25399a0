//! Durable task queue.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::{JobId, UserId, WorkerId};

use super::MemoryStore;
use super::pauses::left;
use super::rows::TaskRow;
use super::state::State;
use crate::StoreError;
use crate::queue::{MAX_DEAD_TASKS, PlatformCapacity, Task, TaskId, TaskQueue};
use crate::rules::{self, LAST_TRY};
use crate::tokens::{EncryptedTokens, Revocation, RevokeScope};

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
        let paused = |task: &TaskRow| {
            let until = pauses.get(task.revocation.account.as_str());
            !left(until.copied(), now).is_zero()
        };
        let free = tasks.iter_mut().filter(|(_, task)| {
            task.dead_at.is_none()
                && task.due_at <= now
                && task.leased_until.is_none_or(|until| until <= now)
                && !paused(task)
        });
        let mut capacities = capacities.to_vec();
        let mut leased = Vec::new();
        for (row, task) in free {
            if task.tries >= LAST_TRY {
                // The worker of its last try did not return it.
                task.dead_at = Some(now);
                continue;
            }
            if !PlatformCapacity::take_permit(&mut capacities, task.revocation.account) {
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
        Ok(leased(&mut state, task).map(|task| {
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
            let task = TaskRow {
                job: Some(job.clone()),
                ..TaskRow::new(user, issued.clone(), due_at)
            };
            let number = state.next_number();
            state.tasks.insert(number, task);
        }
        Ok(())
    }

    async fn set_task_owner(&self, task: &Task, platform_user_id: &str) -> Result<Option<RevokeScope>, StoreError> {
        let mut state = self.state();
        let shared = state.is_linked(task.revocation.account, platform_user_id);
        Ok(leased(&mut state, &task.id).map(|task| {
            task.revocation.platform_user_id = platform_user_id.to_owned();
            task.revocation.scope = rules::narrowed(RevokeScope::Grant, shared);
            task.revocation.scope
        }))
    }

    async fn finish_task(&self, task: &TaskId) -> Result<bool, StoreError> {
        let mut state = self.state();
        let is_leased = leased(&mut state, task).is_some();
        if is_leased {
            state.tasks.remove(&task.row);
        }
        Ok(is_leased)
    }

    async fn retry_task(&self, task: &TaskId, after: Duration, _reason: &str) -> Result<bool, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let Some(task) = leased(&mut state, task) else {
            return Ok(false);
        };
        task.leased_until = None;
        task.due_at = now + after;
        task.dead_at = (task.tries >= LAST_TRY).then_some(now);
        Ok(true)
    }

    async fn dead_tasks(&self) -> Result<u64, StoreError> {
        let state = self.state();
        let dead = state.tasks.values().filter(|task| task.dead_at.is_some());
        Ok(dead.take(MAX_DEAD_TASKS as usize).count() as u64)
    }
}

/// Task of a lease that is still valid: an expired lease remains valid until another worker leases the task.
fn leased<'a>(state: &'a mut State, id: &TaskId) -> Option<&'a mut TaskRow> {
    let task = state.tasks.get_mut(&id.row)?;
    (task.fence == id.fence && task.leased_until.is_some() && task.dead_at.is_none()).then_some(task)
}
