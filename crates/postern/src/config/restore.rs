//! `postern restore`.

use std::path::PathBuf;

use clap::Args;
use protocol::time::Timestamp;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use store::PgSettings;
use store::vault::VaultKeys;

use super::{ConfigError, DatabaseArgs, Problems, VaultKeysArgs};

/// Known facts about the loss that a restore follows.
#[derive(Debug, Clone, Args)]
pub struct LossArgs {
    /// Time until which the lost server was in use: `2026-11-30T12:00:00Z`. Default: now.
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    pub lost_until: Option<Timestamp>,
    /// Log of the workers until then: the chains of the audit log must still have the heads in it.
    #[arg(long, value_name = "FILE")]
    pub heads: Option<PathBuf>,
}

/// Flags and variables of `postern restore check`.
#[derive(Debug, Clone, Args)]
pub struct RestoreCheckArgs {
    /// The loss.
    #[command(flatten)]
    pub loss: LossArgs,
    /// Postgres settings.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Vault keys.
    #[command(flatten)]
    pub vault: VaultKeysArgs,
}

impl RestoreCheckArgs {
    /// Checks the settings, in addition to problems that are known already.
    ///
    /// # Errors
    /// All invalid values.
    pub fn settings(&self, problems: Problems) -> Result<(PgSettings, VaultKeys), ConfigError> {
        self.vault.with(&self.database, problems)
    }
}

fn timestamp(text: &str) -> Result<Timestamp, serde::de::value::Error> {
    Timestamp::deserialize(text.into_deserializer())
}
