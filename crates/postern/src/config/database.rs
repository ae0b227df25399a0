//! Postgres settings.

use clap::Args;
use lifecycle::FileWatch;
use store::{Grant, PgSettings, PgSettingsError, SchemaUse};

use super::number::number;
use super::{ConfigError, Problems, SecretArg, heading};

/// Postgres settings.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// URL: `postgres://user:password@host/database`, with `?sslmode=require` for a remote host.
    #[arg(long, env = URL, help_heading = heading::POSTGRES)]
    pub database_url: Option<SecretArg>,
    /// Maximum size of the connection pool.
    #[arg(long, env = POOL, default_value = "16", help_heading = heading::POSTGRES)]
    pub database_pool: String,
    /// Prepared statements: `on`, or `off` behind a pooler in transaction mode.
    #[arg(long, env = PREPARE, default_value = "on", help_heading = heading::POSTGRES)]
    pub database_prepare: String,
}

/// Connection as the owner of the schema.
#[derive(Debug, Clone, Args)]
pub struct OwnerArgs {
    /// URL for migrations and archives, if `POSTERN_DATABASE_URL` is a pooler, or another role owns the schema.
    #[arg(long, env = MIGRATE_URL, help_heading = heading::POSTGRES)]
    pub migrate_database_url: Option<SecretArg>,
}

/// Flags and variables of `postern migrate`.
#[derive(Debug, Clone, Args)]
pub struct MigrateArgs {
    /// Postgres settings.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Connection as the owner of the schema.
    #[command(flatten)]
    pub owner: OwnerArgs,
    /// Role of the database that workers use, if it is another one than the owner of the schema: the rights that they need are granted to
    /// it.
    #[arg(long, env = GRANT_TO, value_name = "ROLE", help_heading = heading::POSTGRES)]
    pub migrate_grant_to: Option<String>,
    /// Role of the database for `postern audit verify`: it is granted the rights to read the audit log.
    #[arg(long, env = GRANT_AUDIT_TO, value_name = "ROLE", help_heading = heading::POSTGRES)]
    pub migrate_grant_audit_to: Option<String>,
}

impl DatabaseArgs {
    /// Watch of the file of the URL, which is read again for its login.
    pub(super) fn file(&self) -> Option<FileWatch<1>> {
        self.database_url.as_ref().and_then(|url| url.watch(URL))
    }

    /// Checks this section alone, for commands that need no other, in addition to problems that are known already.
    ///
    /// # Errors
    /// All invalid values.
    pub fn settings(&self, mut problems: Problems) -> Result<PgSettings, ConfigError> {
        let settings = self.check(&mut problems);
        problems.finish(settings)
    }

    /// Checks the section.
    pub(crate) fn check(&self, problems: &mut Problems) -> Option<PgSettings> {
        let url = problems.require(URL, self.database_url.as_ref(), "postgres://user@host/database");
        self.check_url(URL, url, problems)
    }

    /// Checks the section, with the URL of the owner of the schema in the place of the other one.
    pub(crate) fn check_as_owner(&self, owner: &OwnerArgs, problems: &mut Problems) -> Option<PgSettings> {
        match &owner.migrate_database_url {
            None => self.check(problems),
            Some(url) => self.check_url(MIGRATE_URL, Some(url), problems),
        }
    }

    fn check_url(
        &self,
        variable: &'static str,
        url: Option<&SecretArg>,
        problems: &mut Problems,
    ) -> Option<PgSettings> {
        let pool = number(&self.database_pool, "a number of connections: `16`");
        let pool = problems.take(POOL, pool);
        let prepares = match self.database_prepare.as_str() {
            "on" => Some(true),
            "off" => Some(false),
            _ => {
                problems.report(PREPARE, "is `on` or `off`");
                None
            }
        };
        let url = problems.optional_secret(variable, url);
        let settings = PgSettings::parse(&url?, pool?);
        let variable = match settings {
            Err(PgSettingsError::PoolSize) => POOL,
            _ => variable,
        };
        let settings = problems.take(variable, settings);
        if prepares? {
            settings
        } else {
            settings.map(PgSettings::without_prepared_statements)
        }
    }
}

impl MigrateArgs {
    /// Checks the settings, in addition to problems that are known already.
    ///
    /// # Errors
    /// All invalid values.
    pub fn settings(&self, mut problems: Problems) -> Result<PgSettings, ConfigError> {
        let settings = self.database.check_as_owner(&self.owner, &mut problems);
        problems.finish(settings)
    }

    /// Roles, and what each needs its rights for.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        let roles = [
            (&self.migrate_grant_to, SchemaUse::Worker),
            (&self.migrate_grant_audit_to, SchemaUse::AuditReader),
        ];
        let named = roles.into_iter().filter_map(|(role, schema_use)| {
            let role = role.clone().filter(|role| !role.is_empty())?;
            Some(Grant { role, schema_use })
        });
        named.collect()
    }
}

const URL: &str = "POSTERN_DATABASE_URL";
const POOL: &str = "POSTERN_DATABASE_POOL";
const PREPARE: &str = "POSTERN_DATABASE_PREPARE";
const MIGRATE_URL: &str = "POSTERN_MIGRATE_DATABASE_URL";
const GRANT_TO: &str = "POSTERN_MIGRATE_GRANT_TO";
const GRANT_AUDIT_TO: &str = "POSTERN_MIGRATE_GRANT_AUDIT_TO";

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct TestCli {
        #[command(flatten)]
        args: MigrateArgs,
    }

    fn parse(args: &[&str]) -> Result<PgSettings, ConfigError> {
        let args = std::iter::once(&"migrate").chain(args);
        TestCli::parse_from(args).args.settings(Problems::default())
    }

    #[test]
    fn migrate_url_takes_precedence() {
        let usual = ["--database-url", "postgres://u@usual/d"];
        let own = ["--migrate-database-url", "postgres://u@own/d"];
        assert!(format!("{:?}", parse(&usual).unwrap()).contains("usual"));
        for args in [own.to_vec(), [usual, own].concat()] {
            assert!(format!("{:?}", parse(&args).unwrap()).contains("own"));
        }
        let refused = parse(&["--migrate-database-url", "mysql://u@own/d"]).unwrap_err();
        assert!(
            refused.to_string().starts_with("POSTERN_MIGRATE_DATABASE_URL "),
            "{refused}"
        );
        let refused = parse(&[]).unwrap_err();
        assert!(refused.to_string().starts_with("POSTERN_DATABASE_URL "), "{refused}");
    }

    #[test]
    fn invalid_pool_or_switch_is_refused_with_its_variable() {
        for (flag, value, variable) in [
            ("--database-pool", "0", POOL),
            ("--database-pool", "1001", POOL),
            ("--database-pool", "many", POOL),
            ("--database-prepare", "no", PREPARE),
        ] {
            let refused = parse(&["--database-url", "postgres://u@h/d", flag, value]).unwrap_err();
            assert!(refused.to_string().starts_with(variable), "{flag} {value}: {refused}");
        }
    }

    #[test]
    fn pool_and_prepared_statements_follow_the_flags() {
        let url = ["--database-url", "postgres://u@h/d"];
        let usual = format!("{:?}", parse(&url).unwrap());
        assert!(usual.contains("pool_size: 16, prepares: true"), "{usual}");
        let asked = [&url[..], &["--database-pool", "1", "--database-prepare", "off"]].concat();
        let asked = format!("{:?}", parse(&asked).unwrap());
        assert!(asked.contains("pool_size: 1, prepares: false"), "{asked}");
    }
}
