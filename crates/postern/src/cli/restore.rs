//! `postern restore`.

use clap::{Args, Subcommand};

use super::{OperatorArgs, OutputArgs};
use crate::config::{LossArgs, RedisArgs, RestoreCheckArgs};

/// `postern restore`.
#[derive(Debug, Subcommand)]
pub enum RestoreCommand {
    /// Print what a restored database does not know, before workers use it: accounts to link again, sessions that may have ended, values
    /// without their key, and chains of the audit log. Changes nothing; exits with 1 if workers should not start.
    Check(RestoreCheckCommand),
    /// Do what follows from it: has users link accounts again whose tokens may have been used since, and records the restore, and what each
    /// chain of the audit log has lost. Changes nothing and exits with 1 if a restore does not explain what is found.
    Apply(Box<RestoreApplyCommand>),
}

/// `postern restore apply`.
#[derive(Debug, Args)]
pub struct RestoreApplyCommand {
    /// The loss.
    #[command(flatten)]
    pub loss: LossArgs,
    /// End all sessions that were open then, of every user: which of them have ended since is not known. Needs the settings of Redis.
    #[arg(long)]
    pub end_sessions: bool,
    /// Operator and settings.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Redis settings.
    #[command(flatten)]
    pub redis: RedisArgs,
    /// Form of the result.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `postern restore check`.
#[derive(Debug, Args)]
pub struct RestoreCheckCommand {
    /// Settings.
    #[command(flatten)]
    pub settings: RestoreCheckArgs,
    /// Form of the result.
    #[command(flatten)]
    pub output: OutputArgs,
}
