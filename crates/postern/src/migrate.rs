//! `postern migrate`.

use std::fmt;

use serde::Serialize;
use store::{Migrated, SetupError};

use crate::config::{ConfigError, MigrateArgs, Problems};

/// Failure to migrate the schema.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Invalid settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A migration failed.
    #[error("migrate the database")]
    Migrate(#[from] SetupError),
}

/// Result of a migration.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MigrateReport {
    /// Names of the applied migrations, and then of the indexes that were built, in order.
    applied: Vec<String>,
    /// Version of the schema.
    version: i32,
    /// True if a newer release has migrated the schema.
    is_newer: bool,
}

impl fmt::Display for MigrateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_newer {
            let version = self.version;
            return write!(
                f,
                "a newer release has migrated the schema to version {version}: it stays as it is"
            );
        }
        if self.applied.is_empty() {
            return f.write_str("the schema is up to date, no migration was applied");
        }
        write!(f, "the schema is up to date: applied {}", self.applied.join(", "))
    }
}

/// Migrates the schema.
///
/// # Errors
/// [`MigrateError`].
pub(crate) async fn migrate(args: &MigrateArgs, problems: Problems) -> Result<MigrateReport, MigrateError> {
    let Migrated {
        applied,
        version,
        is_newer,
    } = store::migrate(&args.settings(problems)?, &args.grants()).await?;
    Ok(MigrateReport {
        applied,
        version,
        is_newer,
    })
}
