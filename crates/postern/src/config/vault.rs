//! What seals, and signs the audit log.

use clap::Args;
use protocol::secret::Secret;
use store::vault::VaultKeys;

use super::{ConfigError, DatabaseArgs, Problems, secret};

/// What seals.
#[derive(Debug, Clone, Args)]
pub struct VaultKeysArgs {
    /// `kid:base64,...`, 32 bytes each: the first seals, all open.
    #[arg(long, env = "POSTERN_VAULT_KEYS", hide_env_values = true, value_parser = secret)]
    pub vault_keys: Option<Secret>,
}

impl VaultKeysArgs {
    /// Checks the section together with the database, for commands that need both and nothing else.
    ///
    /// # Errors
    /// All that is wrong.
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

/// `postern vault rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// Which Postgres.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The new key first.
    #[command(flatten)]
    pub keys: VaultKeysArgs,
}

impl RotateArgs {
    /// Checks everything.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn settings(&self) -> Result<(store::PgSettings, VaultKeys), ConfigError> {
        self.keys.with(&self.database)
    }
}
