//! Which Postgres.

use clap::Args;
use protocol::secret::Secret;

use super::{ConfigError, Problems, secret};

/// Which Postgres.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// `postgres://user:password@host/database`, with `?sslmode=require` off this machine.
    #[arg(long, env = "POSTERN_DATABASE_URL", hide_env_values = true, value_parser = secret)]
    pub database_url: Option<Secret>,
}

impl DatabaseArgs {
    /// Checks the section on its own, for commands that need nothing else.
    ///
    /// # Errors
    /// What is wrong.
    pub fn settings(&self) -> Result<store::PgSettings, ConfigError> {
        let mut problems = Problems::default();
        let settings = self.check(&mut problems);
        problems.finish(settings)
    }

    /// Checks the section.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<store::PgSettings> {
        let url = problems.require(
            "POSTERN_DATABASE_URL",
            self.database_url.as_ref(),
            "postgres://user@host/database",
        )?;
        problems.take("POSTERN_DATABASE_URL", store::PgSettings::parse(url, POOL_SIZE))
    }
}

/// A worker runs 24 jobs at once at most, and few of them are at the database at the same time.
const POOL_SIZE: usize = 16;
