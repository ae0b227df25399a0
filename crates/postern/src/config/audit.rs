//! `postern audit verify`.

use std::path::PathBuf;

use clap::Args;
use store::vault::VaultKeys;

use super::{ConfigError, DatabaseArgs, Problems, VaultKeysArgs};

/// Flags and variables of `postern audit verify`.
#[derive(Debug, Clone, Args)]
pub struct AuditVerifyArgs {
    /// User, to verify a single chain.
    #[arg(long)]
    pub user: Option<String>,
    /// Log of the workers: the chains must still have the heads in it.
    #[arg(long, value_name = "FILE")]
    pub heads: Option<PathBuf>,
    /// Archives of `postern audit archive`, to be verified too: their manifests, or directories of them.
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "user")]
    pub archive: Vec<PathBuf>,
    /// Postgres settings.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Vault keys.
    #[command(flatten)]
    pub vault: VaultKeysArgs,
}

impl AuditVerifyArgs {
    /// Checks the settings, in addition to problems that are known already.
    ///
    /// # Errors
    /// All invalid values.
    pub fn settings(&self, problems: Problems) -> Result<(store::PgSettings, VaultKeys), ConfigError> {
        self.vault.with(&self.database, problems)
    }
}
