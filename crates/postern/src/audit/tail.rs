//! `postern audit tail`: the newest audit rows of all chains, in the order of their time.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Write as _};
use std::time::Duration;

use lifecycle::{Clock as _, SystemClock};
use protocol::time::Timestamp;
use store::vault::AuditKeys;
use store::{AuditRow, AuditTimePosition, PersonalData, PgStore};
use telemetry::metrics::Metrics;
use tokio::time::sleep;

use super::export::ExportError;
use super::ocsf;
use crate::cli::AuditTailArgs;
use crate::config::Problems;
use crate::report::printable;

/// Writes the newest rows to stdout, and with `--follow` later ones too, each once.
///
/// # Errors
/// [`ExportError`]. A reader that closes the pipe is none.
pub(crate) async fn tail(args: &AuditTailArgs, problems: Problems) -> Result<(), ExportError> {
    let (database, keys) = args.vault.with(&args.database, problems)?;
    let meter = Metrics::new("audit").meter();
    let keys = keys.audit_keys();
    let store = PgStore::connect(&database.for_reading(), keys.clone(), &meter).await?;
    let mut tail = Tail {
        store: &store,
        keys: &keys,
        args,
        from: args.since.before(SystemClock.now().into()),
        printed: BTreeSet::new(),
    };
    loop {
        match tail.print_new().await {
            Err(ExportError::Write(error)) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            printed => printed?,
        }
        if !args.follow {
            return Ok(());
        }
        sleep(INTERVAL).await;
    }
}

/// Rows that were printed, and the time from which rows may be missing.
struct Tail<'a> {
    store: &'a PgStore,
    keys: &'a AuditKeys,
    args: &'a AuditTailArgs,
    from: Timestamp,
    /// Printed rows since `from`: time, user and number.
    printed: BTreeSet<(i64, String, i64)>,
}

impl Tail<'_> {
    /// Prints the rows since `from` that are new, and advances it. A row has the time at which it was written and appears with its commit,
    /// so that rows of the last seconds are read again.
    async fn print_new(&mut self) -> Result<(), ExportError> {
        let mut after = AuditTimePosition::before(self.from);
        let mut last = self.from;
        loop {
            let rows = self
                .store
                .audit_rows_since(&after, self.args.user.as_deref(), PAGE)
                .await?;
            let Some(end) = rows.last() else { break };
            after = AuditTimePosition::of(end);
            last = Timestamp::from_millis(end.at);
            let new: Vec<_> = rows.into_iter().filter(|row| !self.is_printed(row)).collect();
            self.write(&new)?;
            self.printed
                .extend(new.into_iter().map(|row| (row.at, row.user, row.seq)));
        }
        self.from = self.from.max(last.minus(LONGEST_TRANSACTION));
        self.printed = self
            .printed
            .split_off(&(self.from.as_millis(), String::new(), i64::MIN));
        Ok(())
    }

    fn is_printed(&self, row: &AuditRow) -> bool {
        self.printed.contains(&(row.at, row.user.clone(), row.seq))
    }

    fn write(&self, rows: &[AuditRow]) -> Result<(), ExportError> {
        let mut lines = Vec::new();
        for row in rows {
            if self.args.output.json {
                serde_json::to_writer(&mut lines, &ocsf::event(row, self.keys))?;
            } else {
                lines.extend_from_slice(line(row, self.keys).as_bytes());
            }
            lines.push(b'\n');
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(&lines).map_err(ExportError::Write)?;
        stdout.flush().map_err(ExportError::Write)
    }
}

/// Row for people: time, user, number, action, subject, result, session, address and device.
fn line(row: &AuditRow, keys: &AuditKeys) -> String {
    let at = Timestamp::from_millis(row.at);
    let AuditRow {
        user,
        seq,
        action,
        result,
        session,
        ..
    } = row;
    let PersonalData {
        subject,
        address,
        device,
    } = row.shown_personal_data(keys);
    let origin = [address, device].join(" ");
    let times = if row.count > 1 {
        format!(" {} times", row.count)
    } else {
        String::new()
    };
    let text = format!("{at} {user} {seq} {action} ({subject}) {result}{times} by {session} {origin}");
    printable(text).trim_end().to_owned()
}

/// Interval at which later rows are looked up.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time for which a row may be written and not committed.
const LONGEST_TRANSACTION: Duration = Duration::from_secs(10);
/// Rows per query.
const PAGE: u32 = 5_000;
