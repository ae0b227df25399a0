//! `postern sessions`.

use clap::{Args, Subcommand};

use super::{OperatorArgs, OutputArgs};
use crate::config::RedisArgs;

/// `postern sessions`.
#[derive(Debug, Subcommand)]
pub enum SessionsCommand {
    /// List the live sessions of a user, with the number of their sockets.
    List(SessionsListArgs),
    /// End a session of a user, or all of them; their sockets are closed.
    End(SessionsEndArgs),
}

/// `postern sessions list`.
#[derive(Debug, Args)]
pub struct SessionsListArgs {
    /// User: the token's `sub`.
    #[arg(long)]
    pub user: String,
    /// Redis settings.
    #[command(flatten)]
    pub redis: RedisArgs,
    /// Operator, and the access to the store.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Form of the result.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `postern sessions end`.
#[derive(Debug, Args)]
pub struct SessionsEndArgs {
    /// User: the token's `sub`.
    #[arg(long)]
    pub user: String,
    /// Sessions to end.
    #[command(flatten)]
    pub which: SessionsToEnd,
    /// Redis settings.
    #[command(flatten)]
    pub redis: RedisArgs,
    /// Operator, and the access to the store.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Form of the result.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Sessions to end: one, or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct SessionsToEnd {
    /// One session: the token's `sid`.
    #[arg(long)]
    pub session: Option<String>,
    /// All sessions, also those that a token issued before now would open.
    #[arg(long)]
    pub all: bool,
}
