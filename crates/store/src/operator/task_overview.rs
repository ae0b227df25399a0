//! Tasks as an operator sees them: without tokens.

use protocol::account::AccountType;
use protocol::id::UserId;
use protocol::time::Timestamp;
use serde::Serialize;

use crate::tokens::RevokeScope;

/// Task of the durable queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskOverview {
    /// Number of the task.
    pub id: i64,
    /// Owner of the grant.
    pub user: UserId,
    /// Platform.
    pub platform: AccountType,
    /// The platform's id of the account; empty if unknown.
    pub platform_user_id: String,
    /// Scope of the revocation: `grant` or `token`.
    #[serde(serialize_with = "scope")]
    pub scope: RevokeScope,
    /// State.
    pub state: TaskState,
    /// Number of tries since it was queued, or last retried by an operator.
    pub tries: u32,
    /// Time at which it was queued.
    pub created_at: Timestamp,
    /// Time of the next try.
    pub due_at: Timestamp,
    /// Failure of the last try.
    pub last_error: Option<String>,
    /// Time at which it was given up.
    pub dead_at: Option<Timestamp>,
}

/// State of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TaskState {
    /// Waiting for its next try.
    Waiting,
    /// Leased by a worker.
    Leased,
    /// Given up.
    Dead,
}

impl TaskState {
    /// Name in output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Leased => "leased",
            Self::Dead => "dead",
        }
    }
}

/// Selection of tasks: those that meet each condition.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// Owner of the grant.
    pub user: Option<UserId>,
    /// Platform.
    pub platform: Option<AccountType>,
    /// Only tasks that were given up.
    pub dead: bool,
    /// Only tasks with a higher number.
    pub after: i64,
    /// Bound of the result, which is in the order of the numbers.
    pub limit: u32,
}

/// Result of an operator's retry of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskRetryOutcome {
    /// The task is due, with all its tries.
    Due(TaskOverview),
    /// Leased by a worker: nothing changed.
    Leased,
    /// No task has this number.
    Unknown,
}

fn scope<S: serde::Serializer>(scope: &RevokeScope, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(scope.as_str())
}
