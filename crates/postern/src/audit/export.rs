//! `postern audit export`: audit rows as JSON lines.

use std::io::{self, ErrorKind, Write as _};

use lifecycle::{Clock as _, SystemClock};
use protocol::time::Timestamp;
use store::vault::AuditKeys;
use store::{Audit as _, AuditPosition, AuditRow, PgStore, SetupError, StoreError};
use telemetry::metrics::Metrics;

use super::ocsf;
use crate::cli::{AuditExportArgs, Moment};
use crate::config::{ConfigError, Problems};

/// Failure to export the audit log.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Invalid settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Connecting to Postgres failed.
    #[error("connect to Postgres")]
    Connect(#[from] SetupError),
    /// Reading the audit log failed. The lines before are complete.
    #[error("read the audit log")]
    Read(#[from] StoreError),
    /// A row does not serialize.
    #[error("serialize a row")]
    Row(#[from] serde_json::Error),
    /// Stdout does not accept lines.
    #[error("write to stdout")]
    Write(#[source] io::Error),
}

/// Writes the rows of the asked time to stdout, chain by chain.
///
/// # Errors
/// [`ExportError`]. A reader that closes the pipe is none.
pub(crate) async fn export(args: &AuditExportArgs, problems: Problems) -> Result<(), ExportError> {
    let (database, keys) = args.vault.with(&args.database, problems)?;
    let meter = Metrics::new("audit").meter();
    let keys = keys.audit_keys();
    let store = PgStore::connect(&database.for_reading(), keys.clone(), &meter).await?;
    let now = Timestamp::from(SystemClock.now());
    let time = Period {
        since: args.since.before(now),
        // Rows of later commits are of the next export.
        until: args.until.as_ref().map_or(now, |until: &Moment| until.before(now)),
    };
    let exported = match &args.user {
        Some(user) => chain((&store, &keys), user, time).await,
        None => all_chains((&store, &keys), time).await,
    };
    match exported {
        Err(ExportError::Write(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        exported => exported,
    }
}

/// Asked time: from `since`, up to and without `until`.
#[derive(Clone, Copy)]
struct Period {
    since: Timestamp,
    until: Timestamp,
}

async fn all_chains((store, keys): (&PgStore, &AuditKeys), time: Period) -> Result<(), ExportError> {
    let mut after = AuditPosition::start();
    loop {
        let page = store.audit_page(&after, (time.since, time.until), PAGE).await?;
        write(&page.rows, keys)?;
        match page.last {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}

async fn chain((store, keys): (&PgStore, &AuditKeys), user: &str, time: Period) -> Result<(), ExportError> {
    let mut after = i64::MIN;
    loop {
        let mut rows = store.audit_rows(user, after, i64::MAX, CHAIN_PAGE).await?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        after = last.seq;
        rows.retain(|row| time.since.as_millis() <= row.at && row.at < time.until.as_millis());
        write(&rows, keys)?;
    }
}

/// Writes whole lines.
fn write(rows: &[AuditRow], keys: &AuditKeys) -> Result<(), ExportError> {
    let mut lines = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut lines, &ocsf::event(row, keys))?;
        lines.push(b'\n');
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(&lines).map_err(ExportError::Write)?;
    stdout.flush().map_err(ExportError::Write)
}

/// Rows that one query reads, of which only those of the asked time are sent.
const PAGE: u32 = 20_000;
/// Rows of one chain that one query reads.
const CHAIN_PAGE: usize = 1_000;
