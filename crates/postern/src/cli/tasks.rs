//! `postern tasks`.

use clap::{Args, Subcommand};
use protocol::account::AccountType;

use super::{OperatorArgs, OutputArgs};

/// `postern tasks`.
#[derive(Debug, Subcommand)]
pub enum TasksCommand {
    /// List the tasks of the durable queue: revocations that wait, are tried, or were given up.
    List(TasksListArgs),
    /// Have tasks tried again at once, with all their tries.
    Retry(TasksRetryArgs),
}

/// `postern tasks list`.
#[derive(Debug, Args)]
pub struct TasksListArgs {
    /// Only tasks that were given up.
    #[arg(long)]
    pub dead: bool,
    /// Only tasks of this user.
    #[arg(long)]
    pub user: Option<String>,
    /// Only tasks of this platform.
    #[arg(long)]
    pub platform: Option<AccountType>,
    /// Bound of the list.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Operator, and the access to the store.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Form of the result.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `postern tasks retry`.
#[derive(Debug, Args)]
pub struct TasksRetryArgs {
    /// Tasks to retry.
    #[command(flatten)]
    pub which: TasksToRetry,
    /// Platform of the tasks that were given up.
    #[arg(long, requires = "dead")]
    pub platform: Option<AccountType>,
    /// Operator, and the access to the store.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Form of the result.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Tasks to retry: one, or all that were given up.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct TasksToRetry {
    /// One task that no worker has leased.
    #[arg(long)]
    pub id: Option<i64>,
    /// All tasks of the platform that were given up.
    #[arg(long, requires = "platform")]
    pub dead: bool,
}
