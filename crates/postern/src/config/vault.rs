//! Vault keys, which encrypt tokens and sign the audit log.

use clap::Args;
use protocol::secret::Secret;
use store::vault::VaultKeys;

use super::{ConfigError, DatabaseArgs, Problems, secret};

/// Vault keys.
#[derive(Debug, Clone, Args)]
pub struct VaultKeysArgs {
    /// Keys: `kid:base64,...`, 32 bytes each. The first encrypts, all decrypt.
    #[arg(long, env = "POSTERN_VAULT_KEYS", hide_env_values = true, value_parser = secret)]
    pub vault_keys: Option<Secret>,
}

impl VaultKeysArgs {
    /// Checks this section and the database, for commands that need no other.
    ///
    /// # Errors
    /// All invalid values.
    pub fn with(&self, database: &DatabaseArgs) -> Result<(store::PgSettings, VaultKeys), ConfigError> {
        let mut problems = Problems::default();
        let database = database.check(&mut problems);
        let keys = self.check(&mut problems);
        problems.finish(database.zip(keys))
    }

    /// Checks the section.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<VaultKeys> {
        problems
            .require("POSTERN_VAULT_KEYS", self.vault_keys.as_ref(), "kid:base64 of 32 bytes")
            .and_then(|keys| problems.take("POSTERN_VAULT_KEYS", VaultKeys::parse(keys)))
    }
}

/// Flags and variables of `postern vault rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// Postgres settings.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Vault keys, the new one first.
    #[command(flatten)]
    pub keys: VaultKeysArgs,
}

impl RotateArgs {
    /// Checks the settings.
    ///
    /// # Errors
    /// All invalid values.
    pub fn settings(&self) -> Result<(store::PgSettings, VaultKeys), ConfigError> {
        self.keys.with(&self.database)
    }
}
