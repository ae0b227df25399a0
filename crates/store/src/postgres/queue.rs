//! Durable task queue.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::AccountType;
use protocol::id::{JobId, UserId, WorkerId};

use super::error::Failure;
use super::parameter::Parameter;
use super::pool::{Ending, Work};
use super::transaction::Transaction;
use super::{PgStore, locks, row};
use crate::StoreError;
use crate::queue::{MAX_DEAD_TASKS, PlatformCapacity, Task, TaskId, TaskQueue};
use crate::rules::{self, LAST_TRY};
use crate::step::Step;
use crate::tokens::{EncryptedTokens, Revocation, RevokeScope};

#[async_trait]
impl TaskQueue for PgStore {
    async fn lease_tasks(
        &self,
        worker: &WorkerId,
        capacities: &[PlatformCapacity],
        ttl: Duration,
    ) -> Result<Vec<Task>, StoreError> {
        let step = Step::LeaseTasks;
        self.give_up_expired_tasks().await?;
        let take = "UPDATE tasks SET fence = fence + 1, tries = tries + 1, leased_by = $1, \
                    leased_until = now() + $2 * interval '1 second' \
                    WHERE id IN (SELECT due.id FROM unnest($4::text[], $5::bigint[]) AS capacity (platform, permits) \
                    CROSS JOIN LATERAL (SELECT id FROM tasks WHERE account_type = capacity.platform \
                    AND kind = 'revocation' AND dead_at IS NULL AND due_at <= now() \
                    AND (leased_until IS NULL OR leased_until <= now()) AND tries < $3::bigint \
                    AND account_type NOT IN (SELECT account_type FROM pauses WHERE until > now()) \
                    ORDER BY due_at, id LIMIT capacity.permits FOR UPDATE SKIP LOCKED) AS due) \
                    RETURNING id, fence, tries, user_id, account_type, platform_user_id, access_token, refresh_token, \
                    token_expires_at, scope";
        let (platforms, permits) = row::capacity_columns(capacities);
        let rows = self
            .pool
            .query(
                step,
                take,
                &[
                    &worker.as_str(),
                    &ttl.as_secs_f64(),
                    &i64::from(LAST_TRY),
                    &platforms,
                    &permits,
                ],
            )
            .await?;
        let tasks = rows.iter().map(row::task).collect::<Result<_, _>>();
        tasks.map_err(|failure| self.pool.report(step, failure))
    }

    async fn replace_task_tokens(
        &self,
        task: &TaskId,
        tokens: &EncryptedTokens,
    ) -> Result<Option<RevokeScope>, StoreError> {
        let step = Step::ReplaceTokensOfTask;
        let keep = "UPDATE tasks SET access_token = $3, refresh_token = $4, token_expires_at = $5 \
                    WHERE id = $1 AND fence = $2 AND leased_until IS NOT NULL AND dead_at IS NULL RETURNING scope";
        let (access, refresh, expires_at) = row::token_columns(Some(tokens));
        let kept = self
            .pool
            .query(step, keep, &[&task.row, &task.fence, &access, &refresh, &expires_at])
            .await?;
        let scope = kept.first().map(row::scope).transpose();
        scope.map_err(|failure| self.pool.report(step, failure))
    }

    async fn queue_provisional_revocation(
        &self,
        (user, job): (&UserId, &JobId),
        issued: &Revocation,
        after: Duration,
    ) -> Result<(), StoreError> {
        let queue = "INSERT INTO tasks (kind, job_id, user_id, account_type, platform_user_id, access_token, refresh_token, \
                     token_expires_at, scope, due_at) \
                     VALUES ('revocation', $1, $2, $3, $4, $5, $6, $7, $8, now() + $9 * interval '1 second') \
                     ON CONFLICT (job_id) DO NOTHING";
        let (access, refresh, expires_at) = row::token_columns(Some(&issued.tokens));
        let values: [&dyn Parameter; 9] = [
            &job.as_str(),
            &user.as_str(),
            &issued.account.as_str(),
            &issued.platform_user_id,
            &access,
            &refresh,
            &expires_at,
            &issued.scope.as_str(),
            &after.as_secs_f64(),
        ];
        let queued = self.pool.query(Step::QueueProvisionalRevocation, queue, &values);
        queued.await.map(drop)
    }

    async fn set_task_owner(&self, task: &Task, platform_user_id: &str) -> Result<Option<RevokeScope>, StoreError> {
        let work = SetTaskOwner { task, platform_user_id };
        self.pool.transact(Step::SetOwnerOfTask, &work).await
    }

    async fn finish_task(&self, task: &TaskId) -> Result<bool, StoreError> {
        let finish = "DELETE FROM tasks \
                      WHERE id = $1 AND fence = $2 AND leased_until IS NOT NULL AND dead_at IS NULL RETURNING 1";
        let finished = self
            .pool
            .query(Step::FinishTask, finish, &[&task.row, &task.fence])
            .await?;
        Ok(!finished.is_empty())
    }

    async fn retry_task(&self, task: &TaskId, after: Duration, reason: &str) -> Result<bool, StoreError> {
        let step = Step::RescheduleTask;
        let reschedule = "UPDATE tasks SET leased_by = NULL, leased_until = NULL, last_error = $4, \
                        due_at = now() + $3 * interval '1 second', dead_at = CASE WHEN tries >= $5::bigint THEN now() END \
                        WHERE id = $1 AND fence = $2 AND leased_until IS NOT NULL AND dead_at IS NULL \
                        RETURNING dead_at IS NOT NULL AS dead";
        let rows = self
            .pool
            .query(
                step,
                reschedule,
                &[
                    &task.row,
                    &task.fence,
                    &after.as_secs_f64(),
                    &printable(reason),
                    &i64::from(LAST_TRY),
                ],
            )
            .await?;
        let Some(row) = rows.first() else { return Ok(false) };
        let dead = row
            .try_get("dead")
            .map_err(|error| self.pool.report(step, error.into()))?;
        if dead {
            self.metrics.gave_up(1);
        }
        Ok(true)
    }

    async fn dead_tasks(&self) -> Result<u64, StoreError> {
        let step = Step::CountDeadTasks;
        let count = "SELECT count(*) AS tasks FROM (SELECT FROM tasks WHERE dead_at IS NOT NULL LIMIT $1) AS dead";
        let rows = self.pool.query(step, count, &[&i64::from(MAX_DEAD_TASKS)]).await?;
        let tasks = rows.first().map(|row| row.try_get::<_, i64>("tasks")).transpose();
        let tasks = tasks.map_err(|error| self.pool.report(step, error.into()))?;
        Ok(tasks.unwrap_or_default().unsigned_abs())
    }
}

impl PgStore {
    /// Gives up tasks whose last lease expired.
    async fn give_up_expired_tasks(&self) -> Result<(), StoreError> {
        let give_up = "UPDATE tasks SET dead_at = now(), last_error = 'the last lease expired' \
                    WHERE dead_at IS NULL AND tries >= $1::bigint AND leased_until <= now() RETURNING 1";
        let given_up = self
            .pool
            .query(Step::GiveUpExpiredTasks, give_up, &[&i64::from(LAST_TRY)])
            .await?;
        self.metrics.gave_up(given_up.len() as u64);
        Ok(())
    }
}

/// Queues a revocation, if there is one, narrowed if other links, pending ones included, of the same platform account exist. The
/// caller holds that account's lock.
pub(super) async fn revoke(
    tx: &Transaction<'_>,
    user: &UserId,
    revocation: Option<&Revocation>,
) -> Result<(), Failure> {
    let Some(revocation) = revocation else {
        return Ok(());
    };
    let platform = revocation.account.as_str();
    let shared = is_linked(tx, revocation.account, &revocation.platform_user_id).await?;
    let scope = rules::narrowed(revocation.scope, shared);
    let insert = "INSERT INTO tasks (kind, user_id, account_type, platform_user_id, access_token, refresh_token, \
             token_expires_at, scope) VALUES ('revocation', $1, $2, $3, $4, $5, $6, $7)";
    let (access, refresh, expires_at) = row::token_columns(Some(&revocation.tokens));
    tx.execute(
        insert,
        &[
            &user.as_str(),
            &platform,
            &revocation.platform_user_id,
            &access,
            &refresh,
            &expires_at,
            &scope.as_str(),
        ],
    )
    .await?;
    Ok(())
}

/// Same as [`revoke`], for what the job's exchange issued: also removes the provisional revocation.
pub(super) async fn revoke_issued(
    tx: &Transaction<'_>,
    user: &UserId,
    issued: Option<&Revocation>,
    job: &JobId,
) -> Result<(), Failure> {
    withdraw(tx, job).await?;
    revoke(tx, user, issued).await
}

/// Removes the provisional revocation of what the job's exchange issued. False if it has started, so that the tokens are no
/// longer usable.
pub(super) async fn withdraw(tx: &Transaction<'_>, job: &JobId) -> Result<bool, Failure> {
    let delete = "DELETE FROM tasks WHERE job_id = $1 RETURNING tries = 0";
    let withdrawn = tx.query_opt(delete, &[&job.as_str()]).await?;
    Ok(withdrawn.map_or(Ok(true), |row| row.try_get(0))?)
}

/// Reports whether the platform account is linked or has a pending link. The caller holds that account's lock.
pub(super) async fn is_linked(
    tx: &Transaction<'_>,
    account: AccountType,
    platform_user_id: &str,
) -> Result<bool, Failure> {
    let find = "SELECT EXISTS (SELECT FROM accounts WHERE account_type = $1 AND platform_user_id = $2) \
                OR EXISTS (SELECT FROM pending_links WHERE account_type = $1 AND platform_user_id = $2)";
    let found = tx.query_one(find, &[&account.as_str(), &platform_user_id]).await?;
    Ok(found.try_get(0)?)
}

struct SetTaskOwner<'a> {
    task: &'a Task,
    platform_user_id: &'a str,
}

#[async_trait]
impl Work for SetTaskOwner<'_> {
    type Outcome = Option<RevokeScope>;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<Option<RevokeScope>>, Failure> {
        let Self { task, platform_user_id } = self;
        let account = task.revocation.account;
        locks::lock_platform_account(tx, account, platform_user_id).await?;
        let scope = rules::narrowed(RevokeScope::Grant, is_linked(tx, account, platform_user_id).await?);
        let update = "UPDATE tasks SET platform_user_id = $3, scope = $4 \
                    WHERE id = $1 AND fence = $2 AND leased_until IS NOT NULL AND dead_at IS NULL";
        let TaskId { row, fence } = &task.id;
        let updated = tx
            .execute(update, &[row, fence, platform_user_id, &scope.as_str()])
            .await?;
        Ok(Ending::Commit((updated > 0).then_some(scope)))
    }
}

/// Narrows queued revocations so that they do not end another link of the same platform account. The caller holds that account's
/// lock.
pub(super) async fn narrow_revocations(
    tx: &Transaction<'_>,
    account: AccountType,
    platform_user_id: &str,
) -> Result<(), Failure> {
    let narrow = "UPDATE tasks SET scope = 'token' WHERE kind = 'revocation' AND account_type = $1 AND platform_user_id = $2 \
             AND scope = 'grant' AND dead_at IS NULL";
    tx.execute(narrow, &[&account.as_str(), &platform_user_id]).await?;
    Ok(())
}

/// Text for an operator: bounded, and without NUL, which Postgres rejects.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .filter(|character| *character != '\0')
        .take(MAX_CHARACTERS)
        .collect()
}

const MAX_CHARACTERS: usize = 500;
