//! Schema migrations: one SQL file per version, applied once and never changed after.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use refinery::error::Kind;
use refinery::{Migration, Report, Runner};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

use super::direct::on_own_connection;
use super::grants::{Grant, SchemaUse};
use super::pool::Pool;
use super::schema_change::{Attempts, SHORT_WAITS};
use super::settings::PgSettings;
use super::{SetupError, audit_partitions, grants, online};
use crate::step::Step;

/// Result of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// Names of the applied migrations, and then of the indexes that were built, in order.
    pub applied: Vec<String>,
    /// Version of the schema.
    pub version: i32,
    /// True if a newer release has migrated the schema: nothing is applied then.
    pub is_newer: bool,
}

/// Migrates the schema, the first one of the connection's `search_path`, and grants the rights on it. Each migration waits at most half a
/// second for a lock, and is tried again for five minutes, because commands queue behind it. Concurrent calls are serialized by an advisory
/// lock of the session, so this needs Postgres itself, not a pooler that gives each transaction another connection.
///
/// # Errors
/// [`SetupError`]; each migration is applied whole or not at all.
pub async fn migrate(settings: &PgSettings, grants: &[Grant]) -> Result<Migrated, SetupError> {
    on_own_connection(settings, async |client| apply(client, grants).await).await
}

/// Refuses a schema that is older than this build, or on which the role lacks rights. A newer one is accepted, as a rolling update
/// migrates first.
pub(super) async fn check_schema(pool: &Pool, schema_use: SchemaUse) -> Result<(), SetupError> {
    let needed = newest(&migrations()?);
    let exists = pool.query(Step::LookUpSchema, HISTORY_EXISTS, &[]).await?;
    if !matches!(exists.first().map(|row| row.try_get(0)), Some(Ok(true))) {
        return Err(SetupError::Behind { found: 0, needed });
    }
    grants::check(pool, schema_use).await?;
    let applied = "SELECT coalesce(max(version), 0) FROM refinery_schema_history";
    let found = pool.query(Step::ReadSchemaVersion, applied, &[]).await?;
    let found = found.first().map_or(Ok(0), |row| row.try_get(0));
    let found = found.map_err(|error| SetupError::Reach(Box::new(error)))?;
    if found < needed {
        return Err(SetupError::Behind { found, needed });
    }
    Ok(())
}

async fn apply(client: &mut Client, grants: &[Grant]) -> Result<Migrated, SetupError> {
    refuse_other_encodings(client).await?;
    lock(client).await?;
    let mut known = migrations()?;
    let own = newest(&known);
    let newer = newer_than(own, client).await?;
    let version = newer.last().map_or(own, Migration::version);
    let is_newer = !newer.is_empty();
    // With those of the newer release in the list, refinery still compares the others.
    known.extend(newer);
    let mut applied = run(&Runner::new(&known), client).await?;
    if !is_newer {
        grants::grant(client, grants).await?;
        audit_partitions::create_ahead(client).await?;
        applied.extend(online::build_indexes(client).await?);
    }
    Ok(Migrated {
        applied,
        version,
        is_newer,
    })
}

/// Takes the lock of migrations. It is asked for again and again: a statement that waits for it keeps a snapshot, and the concurrent build
/// of an index, by the one who has the lock, waits for that.
pub(super) async fn lock(client: &Client) -> Result<(), SetupError> {
    let lock = "SELECT pg_try_advisory_lock(hashtextextended('postern migrate ' || current_schema(), 0))";
    let ends_at = Instant::now() + OTHER_MIGRATION_WITHIN;
    loop {
        let row = client.query_typed_one(lock, &[]).await;
        let is_locked = row.and_then(|row| row.try_get(0));
        if is_locked.map_err(|error| SetupError::Reach(Box::new(error)))? {
            return Ok(());
        }
        if Instant::now() >= ends_at {
            return Err(SetupError::Busy);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Applied migrations above this version, of a newer release.
async fn newer_than(version: i32, client: &mut Client) -> Result<Vec<Migration>, SetupError> {
    let exists = client.query_typed_one(HISTORY_EXISTS, &[]).await;
    let exists = exists.and_then(|row| row.try_get(0));
    if !exists.map_err(|error| SetupError::Reach(Box::new(error)))? {
        return Ok(Vec::new());
    }
    let applied = Runner::new(&[]).get_applied_migrations_async(client).await;
    let mut applied = applied.map_err(migration_failed)?;
    applied.retain(|migration| migration.version() > version);
    Ok(applied)
}

/// Applies what is missing, and returns the names.
async fn run(runner: &Runner, client: &mut Client) -> Result<Vec<String>, SetupError> {
    let limited = client.batch_execute(SHORT_WAITS).await;
    limited.map_err(|error| SetupError::Migrate(Box::new(error)))?;
    let mut applied = Vec::new();
    let attempts = Attempts::new();
    loop {
        let result = runner.run_async(client).await;
        let report = result.as_ref().map_or_else(refinery::Error::report, Some);
        let migrations = report.into_iter().flat_map(Report::applied_migrations);
        applied.extend(migrations.map(ToString::to_string));
        match result {
            Ok(_report) => return Ok(applied),
            Err(error) => attempts.retry_after(migration_failed(error)).await?,
        }
    }
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

/// Time for which a migration of another process is waited for: its own limits, and some.
const OTHER_MIGRATION_WITHIN: Duration = Duration::from_secs(600);

const HISTORY_EXISTS: &str = "SELECT to_regclass('refinery_schema_history') IS NOT NULL";

/// Highest version.
fn newest(migrations: &[Migration]) -> i32 {
    migrations.last().map_or(0, Migration::version)
}

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
