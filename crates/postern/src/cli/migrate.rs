//! `postern migrate`.

use clap::Args;

use super::OutputArgs;
use crate::config::MigrateArgs;

/// `postern migrate`.
#[derive(Debug, Args)]
pub struct MigrateCommand {
    /// Settings.
    #[command(flatten)]
    pub settings: MigrateArgs,
    /// Form of the result.
    #[command(flatten)]
    pub output: OutputArgs,
}
