//! `postern users`.

use clap::{Args, Subcommand};

use super::{OperatorArgs, OutputArgs};
use crate::config::RedisArgs;

/// `postern users`.
#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// Show what the store has about a user: accounts, sessions, second factor, alerts, devices, tasks.
    Show(Box<UsersShowArgs>),
    /// Erase a user: end the sessions, unlink the accounts, and delete all data and the key of the personal data in the audit log. It
    /// cannot be undone.
    Erase(Box<UsersEraseArgs>),
}

/// `postern users show`.
#[derive(Debug, Args)]
pub struct UsersShowArgs {
    /// User: the token's `sub`.
    #[arg(long)]
    pub user: String,
    /// Operator, and the access to the store.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Form of the result.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `postern users erase`.
#[derive(Debug, Args)]
pub struct UsersEraseArgs {
    /// User: the token's `sub`.
    #[arg(long)]
    pub user: String,
    /// Confirmation that the user is to be erased.
    #[arg(long, required = true)]
    pub yes: bool,
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
