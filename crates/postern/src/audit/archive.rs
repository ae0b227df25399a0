//! `postern audit archive`: writes old partitions of the audit log to files, signs checkpoints of their chains, and drops them.

mod checkpoints;
mod export;
mod file;
mod reader;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use lifecycle::{Clock as _, OsEntropy, SystemClock};
use protocol::time::Timestamp;
use serde::Serialize;
use store::vault::AuditKeys;
use store::{
    ArchiveManifest, AuditPartition, AuditPosition, InvalidAuditRow, PgStore, SetupError, StoreError,
    close_audit_partition, drop_audit_partition, old_audit_partitions,
};
use telemetry::metrics::Metrics;
use worker::operator_receipt;

pub use self::file::ArchiveFileError;
pub(super) use self::file::manifests;
pub(super) use self::reader::ArchiveReader;
use crate::cli::{AuditArchiveArgs, OperatorSettings};
use crate::config::{ConfigError, Problems};
use crate::report::{print_report, write_table};

/// Failure to archive the audit log. What was archived before is archived; a repeat goes on.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Invalid settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Rows of this time may still be written.
    #[error("--before: rows of the last day cannot be archived yet")]
    TooLate,
    /// Connecting to Postgres failed.
    #[error("connect to Postgres")]
    Connect(#[source] SetupError),
    /// A partition could not be listed, closed or dropped. This needs the role that owns the schema.
    #[error("prepare or drop a partition, as the owner of the schema")]
    Partition(#[source] SetupError),
    /// Reading the audit log, or storing checkpoints, failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A chain is broken. Its partition is not dropped.
    #[error("the audit log is not as it was written, nothing more is archived")]
    Broken(#[from] InvalidAuditRow),
    /// More rows of other partitions belong to the chains than are expected of a clock that was set back.
    #[error("more than {} rows have earlier times than the rows before them", export::MOST_MOVED)]
    TooManyMoved,
    /// A row does not serialize.
    #[error("serialize a row")]
    Row(#[from] serde_json::Error),
    /// The file could not be written or read.
    #[error(transparent)]
    File(#[from] ArchiveFileError),
}

/// Archives the partitions below a time, the oldest first: each is exported whole, and dropped only when its file is on the disk and its
/// chains have their checkpoints. Interrupted at any point, a repeat goes on.
///
/// # Errors
/// [`ArchiveError`].
pub(crate) async fn archive(args: &AuditArchiveArgs, mut problems: Problems) -> Result<ExitCode, ArchiveError> {
    let settings = args.operator.check_as_owner(&args.owner, &mut problems);
    let settings = problems.finish(settings)?;
    let now = Timestamp::from(SystemClock.now());
    let before = args.before.before(now);
    if before > now.minus(LEAST_AGE) {
        return Err(ArchiveError::TooLate);
    }
    fs::create_dir_all(&args.to).map_err(|error| ArchiveFileError::Write(args.to.clone(), error))?;
    let keys = settings.keys.audit_keys();
    let meter = Metrics::new("audit").meter();
    let store = PgStore::connect(&settings.database, keys.clone(), &meter).await;
    let store = store.map_err(ArchiveError::Connect)?;
    let receipt = operator_receipt(&settings.operator, &OsEntropy);
    let command = format!("audit archive --before {before}");
    store.record_operator_command(None, &command, &receipt).await?;
    let run = ArchiveRun {
        settings: &settings,
        store: &store,
        keys: &keys,
        to: &args.to,
    };
    let partitions = old_audit_partitions(&settings.database, before).await;
    let mut archived = Vec::new();
    for partition in partitions.map_err(ArchiveError::Partition)? {
        archived.extend(run.archive(&partition).await?);
    }
    Ok(print_report(&ArchiveReport { archived }, args.output)?)
}

/// Archive of several partitions.
struct ArchiveRun<'a> {
    settings: &'a OperatorSettings,
    store: &'a PgStore,
    keys: &'a AuditKeys,
    to: &'a Path,
}

impl ArchiveRun<'_> {
    /// Archives one partition and returns the entry of the report; none if it had no rows.
    async fn archive(&self, partition: &AuditPartition) -> Result<Option<ArchivedPartition>, ArchiveError> {
        if partition.is_detached {
            // An interrupted run has archived it.
            self.drop_partition(partition, &[]).await?;
            return Ok(None);
        }
        let closed = close_audit_partition(&self.settings.database, partition).await;
        closed.map_err(ArchiveError::Partition)?;
        let exported = export::export(self, partition).await?;
        let archived = match &exported.manifest {
            None => None,
            Some((path, manifest)) => {
                checkpoints::store_checkpoints(self, path).await?;
                Some(ArchivedPartition::new(path, manifest))
            }
        };
        self.drop_partition(partition, &exported.moved).await?;
        Ok(archived)
    }

    async fn drop_partition(&self, partition: &AuditPartition, moved: &[AuditPosition]) -> Result<(), ArchiveError> {
        let dropped = drop_audit_partition(&self.settings.database, partition, moved).await;
        dropped.map_err(ArchiveError::Partition)
    }
}

/// Archived partitions.
#[derive(Debug, Serialize)]
struct ArchiveReport {
    archived: Vec<ArchivedPartition>,
}

/// Archived partition.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ArchivedPartition {
    /// End of its times, exclusive.
    before: Timestamp,
    manifest: PathBuf,
    rows: u64,
    chains: u64,
    bytes: u64,
    sha256: String,
}

impl ArchivedPartition {
    fn new(path: &Path, manifest: &ArchiveManifest) -> Self {
        Self {
            before: Timestamp::from_millis(manifest.before),
            manifest: path.to_owned(),
            rows: manifest.rows,
            chains: manifest.chains,
            bytes: manifest.bytes,
            sha256: manifest.sha256.clone(),
        }
    }
}

impl fmt::Display for ArchiveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.archived.iter().map(|archived| {
            [
                archived.before.to_string(),
                archived.rows.to_string(),
                archived.chains.to_string(),
                archived.manifest.display().to_string(),
            ]
        });
        write_table(f, Some(["BEFORE", "ROWS", "CHAINS", "MANIFEST"]), rows)
    }
}

/// Age at which no transaction, and no clock of a server that has taken over, writes rows of that time any more.
const LEAST_AGE: Duration = Duration::from_hours(24);
