//! `postern restore`.

use clap::{Args, Subcommand};

use super::OutputArgs;
use crate::config::RestoreCheckArgs;

/// `postern restore`.
#[derive(Debug, Subcommand)]
pub enum RestoreCommand {
    /// Print what a restored database does not know, before workers use it: accounts to link again, sessions that may have ended, values
    /// without their key, and chains of the audit log. Changes nothing; exits with 1 if workers should not start.
    Check(RestoreCheckCommand),
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
