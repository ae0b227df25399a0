//! Schema migrations: one SQL file per version, applied once and never changed after.

use std::error::Error;
use std::fmt;

use refinery::error::Kind;
use refinery::{Migration, Runner};
use tokio::time::timeout;
use tokio_postgres::Client;

use super::pool::Pool;
use super::settings::{CONNECT_TIMEOUT, PgSettings};
use super::{SetupError, tls};
use crate::step::Step;

/// Migrates the schema and returns the applied migrations. Concurrent calls are serialized by an advisory lock of the session, so
/// this needs Postgres itself, not a pooler that gives each transaction another connection. Migrates the first schema of the
/// connection's `search_path`.
///
/// # Errors
/// [`SetupError`]; each migration is applied whole or not at all.
pub async fn migrate(settings: &PgSettings) -> Result<Vec<String>, SetupError> {
    let config = settings.config();
    let connecting = timeout(CONNECT_TIMEOUT, config.connect(tls::connector(&settings.roots)?)).await;
    let connecting = connecting.map_err(|elapsed| SetupError::Reach(Box::new(elapsed)))?;
    let (mut client, connection) = connecting.map_err(|error| SetupError::Reach(Box::new(error)))?;
    let work = async {
        let applied = apply(&mut client).await;
        // The connection, with its lock, ends when its client is dropped.
        drop(client);
        applied
    };
    let (applied, connection) = tokio::join!(work, connection);
    let applied = applied?;
    connection.map_err(|error| SetupError::Reach(Box::new(error)))?;
    Ok(applied)
}

/// Refuses a schema that is older than this build. A newer one is accepted, as a rolling update migrates first.
pub(super) async fn check_schema(pool: &Pool) -> Result<(), SetupError> {
    let needed = migrations()?.last().map_or(0, Migration::version);
    let exists = "SELECT to_regclass('refinery_schema_history') IS NOT NULL";
    let applied = "SELECT coalesce(max(version), 0) FROM refinery_schema_history";
    let exists = pool.query(Step::LookUpSchema, exists, &[]).await?;
    let found = match exists.first().map(|row| row.try_get(0)) {
        Some(Ok(true)) => pool.query(Step::ReadSchemaVersion, applied, &[]).await?,
        _ => Vec::new(),
    };
    let found = found.first().map_or(Ok(0), |row| row.try_get(0));
    let found = found.map_err(|error| SetupError::Reach(Box::new(error)))?;
    if found < needed {
        return Err(SetupError::Behind { found, needed });
    }
    Ok(())
}

async fn apply(client: &mut Client) -> Result<Vec<String>, SetupError> {
    refuse_other_encodings(client).await?;
    let limited = client.batch_execute(LOCK_TIMEOUT).await;
    limited.map_err(|error| SetupError::Migrate(Box::new(error)))?;
    let lock = "SELECT pg_advisory_lock(hashtextextended('postern migrate ' || current_schema(), 0))";
    let locked = client.execute(lock, &[]).await;
    locked.map_err(|error| SetupError::Migrate(Box::new(error)))?;
    let report = Runner::new(&migrations()?).run_async(client).await;
    let report = report.map_err(migration_failed)?;
    Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
}

/// Refuses other encodings than UTF8: `SQL_ASCII` would accept names and messages, and count and compare their bytes.
async fn refuse_other_encodings(client: &Client) -> Result<(), SetupError> {
    let row = client.query_typed_one("SHOW server_encoding", &[]).await;
    let encoding = row.and_then(|row| row.try_get::<_, String>(0));
    match encoding.map_err(|error| SetupError::Reach(Box::new(error)))? {
        utf8 if utf8 == "UTF8" => Ok(()),
        other => Err(SetupError::Encoding(other)),
    }
}

/// Wait, in milliseconds, for another migration or for a locked table.
const LOCK_TIMEOUT: &str = "SET lock_timeout = 60000";

fn migrations() -> Result<Vec<Migration>, SetupError> {
    let migrations = MIGRATIONS.iter().map(|(name, sql)| Migration::unapplied(name, sql));
    let migrations = migrations.collect::<Result<_, _>>();
    migrations.map_err(migration_failed)
}

fn migration_failed(error: refinery::Error) -> SetupError {
    SetupError::Migrate(Box::new(MigrationError(error)))
}

/// Refinery's error, whose own text repeats that of its source.
#[derive(Debug)]
pub(super) struct MigrationError(pub(super) refinery::Error);

impl fmt::Display for MigrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind() {
            Kind::Connection(step, _source) => f.write_str(step),
            kind => kind.fmt(f),
        }
    }
}

impl Error for MigrationError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Name and SQL of all files of `migrations/`, by version, as `build.rs` lists them.
const MIGRATIONS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));
