//! `postern migrate`.

use std::fmt;

use serde::Serialize;
use store::SetupError;

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
    /// Names of the applied migrations, in order.
    applied: Vec<String>,
}

impl fmt::Display for MigrateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    let applied = store::migrate(&args.settings(problems)?).await?;
    Ok(MigrateReport { applied })
}
