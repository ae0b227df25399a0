//! `postern audit verify`.

use std::path::PathBuf;

use clap::Args;
use store::vault::VaultKeys;

use super::{ConfigError, DatabaseArgs, VaultKeysArgs};

/// The flags and variables of `postern audit verify`.
#[derive(Debug, Clone, Args)]
pub struct AuditVerifyArgs {
    /// This user's chain only.
    #[arg(long)]
    pub user: Option<String>,
    /// Lines of the workers' log: the heads in them must still be in the chains.
    #[arg(long, value_name = "FILE")]
    pub heads: Option<PathBuf>,
    /// Which Postgres.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Which keys.
    #[command(flatten)]
    pub vault: VaultKeysArgs,
}

impl AuditVerifyArgs {
    /// Checks everything.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn settings(&self) -> Result<(store::PgSettings, VaultKeys), ConfigError> {
        self.vault.with(&self.database)
    }
}
