//! `postern tasks`.

use std::fmt;

use protocol::account::AccountType;
use protocol::id::UserId;
use serde::Serialize;
use store::{PgStore, TaskFilter, TaskOverview, TaskRetryOutcome};

use super::{OperatorError, Outcome, connect, receipt, user};
use crate::cli::{OperatorSettings, TasksCommand, TasksListArgs, TasksRetryArgs};
use crate::config::Problems;
use crate::report::{print_report, write_table};

/// Runs the command.
///
/// # Errors
/// [`OperatorError`].
pub(crate) async fn tasks(command: &TasksCommand, problems: Problems) -> Outcome {
    match command {
        TasksCommand::List(args) => list(args, problems).await,
        TasksCommand::Retry(args) => retry(args, problems).await,
    }
}

async fn list(args: &TasksListArgs, problems: Problems) -> Outcome {
    let user: Option<UserId> = args.user.as_deref().map(user).transpose()?;
    let settings = args.operator.settings(problems)?;
    let store = connect(&settings).await?;
    let filter = TaskFilter {
        user,
        platform: args.platform,
        dead: args.dead,
        after: 0,
        // One more, to tell whether the list is complete.
        limit: args.limit + 1,
    };
    let mut tasks = store.list_tasks(&filter, "tasks list", &receipt(&settings)).await?;
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let truncated = tasks.len() > limit;
    tasks.truncate(limit);
    Ok(print_report(&TaskList { tasks, truncated }, args.output)?)
}

async fn retry(args: &TasksRetryArgs, problems: Problems) -> Outcome {
    let settings = args.operator.settings(problems)?;
    let store = connect(&settings).await?;
    let retried = match args.which.id {
        Some(id) => vec![retry_one(&store, &settings, id).await?],
        None => retry_dead(&store, &settings, args).await?,
    };
    Ok(print_report(&RetriedTasks { retried }, args.output)?)
}

async fn retry_one(store: &PgStore, settings: &OperatorSettings, id: i64) -> Result<TaskOverview, OperatorError> {
    match store.retry_task_now(id, &receipt(settings)).await? {
        TaskRetryOutcome::Due(task) => Ok(task),
        TaskRetryOutcome::Leased => Err(OperatorError::LeasedTask(id)),
        TaskRetryOutcome::Unknown => Err(OperatorError::UnknownTask(id)),
    }
}

/// Retries the tasks of a platform that were given up before the command, each in a transaction of its own.
async fn retry_dead(
    store: &PgStore,
    settings: &OperatorSettings,
    args: &TasksRetryArgs,
) -> Result<Vec<TaskOverview>, OperatorError> {
    let mut filter = TaskFilter {
        platform: args.platform,
        dead: true,
        limit: PAGE,
        ..TaskFilter::default()
    };
    let command = format!("tasks retry --dead {}", args.platform.map_or("", AccountType::as_str));
    let mut retried = Vec::new();
    loop {
        let page = store.list_tasks(&filter, &command, &receipt(settings)).await?;
        let Some(last) = page.last() else {
            return Ok(retried);
        };
        filter.after = last.id;
        for task in page {
            // A worker or another operator may have been faster.
            if let TaskRetryOutcome::Due(task) = store.retry_task_now(task.id, &receipt(settings)).await? {
                retried.push(task);
            }
        }
    }
}

/// Tasks per query.
const PAGE: u32 = 100;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskList {
    tasks: Vec<TaskOverview>,
    /// True if there are more tasks than the bound of the list.
    truncated: bool,
}

impl fmt::Display for TaskList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_tasks(f, &self.tasks)?;
        if self.truncated {
            f.write_str("\nmore tasks follow: --limit")?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RetriedTasks {
    retried: Vec<TaskOverview>,
}

impl fmt::Display for RetriedTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.retried.is_empty() {
            return f.write_str("no task was given up");
        }
        write_tasks(f, &self.retried)
    }
}

fn write_tasks(f: &mut fmt::Formatter<'_>, tasks: &[TaskOverview]) -> fmt::Result {
    let rows = tasks.iter().map(|task| {
        [
            task.id.to_string(),
            task.user.to_string(),
            task.platform.to_string(),
            task.platform_user_id.clone(),
            task.scope.as_str().to_owned(),
            task.state.as_str().to_owned(),
            task.tries.to_string(),
            task.due_at.to_string(),
            task.last_error.clone().unwrap_or_default(),
        ]
    });
    let header = [
        "id",
        "user",
        "platform",
        "account",
        "scope",
        "state",
        "tries",
        "due",
        "last error",
    ];
    write_table(f, Some(header), rows)
}
