//! `postern users`.

use clap::{Args, Subcommand};

use super::{OperatorArgs, OutputArgs};

/// `postern users`.
#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// Show what the store has about a user: accounts, sessions, second factor, alerts, devices, tasks.
    Show(UsersShowArgs),
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
