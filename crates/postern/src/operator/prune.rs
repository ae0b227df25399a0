//! `postern prune`.

use std::fmt;

use serde::Serialize;
use store::{PrunePace, PruneRun, PrunedTable};

use super::{Outcome, connect, receipt};
use crate::cli::PruneArgs;
use crate::config::Problems;
use crate::report::{print_report, write_table};

/// Deletes the expired rows of one table or of all, without pauses.
///
/// # Errors
/// [`super::OperatorError`]; the rows of earlier batches are deleted.
pub(crate) async fn prune(args: &PruneArgs, mut problems: Problems) -> Outcome {
    let times = args.retention.check(&mut problems);
    let settings = args.operator.check(&mut problems);
    let (times, settings) = problems.finish(times.zip(settings))?;
    let store = connect(&settings).await?;
    let receipt = receipt(&settings);
    let (command, tables) = match args.table {
        Some(table) => (format!("prune {table}"), vec![table]),
        None => ("prune".to_owned(), PrunedTable::ALL.to_vec()),
    };
    store.record_operator_command(None, &command, &receipt).await?;
    let run = PruneRun {
        retention: &store,
        times: &times,
        receipt: &receipt,
        pace: PrunePace::AtOnce,
    };
    let mut deleted = Vec::new();
    for table in tables {
        let rows = run.prune(table).await?;
        let table = table.as_str();
        deleted.push(PrunedRows { table, rows });
    }
    Ok(print_report(&PruneReport { deleted }, args.output)?)
}

/// Deleted rows of each table.
#[derive(Debug, Serialize)]
struct PruneReport {
    deleted: Vec<PrunedRows>,
}

/// Deleted rows of one table.
#[derive(Debug, Serialize)]
struct PrunedRows {
    table: &'static str,
    rows: u64,
}

impl fmt::Display for PruneReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self
            .deleted
            .iter()
            .map(|deleted| [deleted.table.to_owned(), deleted.rows.to_string()]);
        write_table(f, Some(["TABLE", "DELETED"]), rows)
    }
}
