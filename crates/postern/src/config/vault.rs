//! Vault keys, which encrypt tokens and sign the audit log.

use clap::Args;
use lifecycle::FileWatch;
use store::vault::VaultKeys;

use super::{ConfigError, DatabaseArgs, Problems, SecretArg, heading};

/// Vault keys.
#[derive(Debug, Clone, Args)]
pub struct VaultKeysArgs {
    /// Keys: `kid:base64,...`, 32 bytes each. The first encrypts, all decrypt.
    #[arg(long, env = KEYS, help_heading = heading::VAULT)]
    pub vault_keys: Option<SecretArg>,
}

impl VaultKeysArgs {
    /// Watch of the file of the keys.
    pub(super) fn file(&self) -> Option<FileWatch<1>> {
        self.vault_keys.as_ref().and_then(|keys| keys.watch(KEYS))
    }

    /// Checks this section and the database, for commands that need no other, in addition to problems that are known already.
    ///
    /// # Errors
    /// All invalid values.
    pub fn with(
        &self,
        database: &DatabaseArgs,
        mut problems: Problems,
    ) -> Result<(store::PgSettings, VaultKeys), ConfigError> {
        let database = database.check(&mut problems);
        let keys = self.check(&mut problems);
        problems.finish(database.zip(keys))
    }

    /// Checks the section.
    pub(crate) fn check(&self, problems: &mut Problems) -> Option<VaultKeys> {
        let keys = problems.require(KEYS, self.vault_keys.as_ref(), "kid:base64 of 32 bytes");
        let keys = problems.optional_secret(KEYS, keys)?;
        problems.take(KEYS, VaultKeys::parse(&keys))
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
    /// Checks the settings, in addition to problems that are known already.
    ///
    /// # Errors
    /// All invalid values.
    pub fn settings(&self, problems: Problems) -> Result<(store::PgSettings, VaultKeys), ConfigError> {
        self.keys.with(&self.database, problems)
    }
}

const KEYS: &str = "POSTERN_VAULT_KEYS";
