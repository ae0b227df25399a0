//! `postern prune`.

use clap::Args;
use store::PrunedTable;

use super::{OperatorArgs, OutputArgs};
use crate::config::RetentionArgs;

/// `postern prune`.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Table whose expired rows are deleted; default: all tables that workers prune.
    #[arg(long, value_parser = table)]
    pub table: Option<PrunedTable>,
    /// Retention of rows.
    #[command(flatten)]
    pub retention: RetentionArgs,
    /// Operator, and the access to the store.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Form of the result.
    #[command(flatten)]
    pub output: OutputArgs,
}

fn table(name: &str) -> Result<PrunedTable, String> {
    PrunedTable::named(name).ok_or_else(|| {
        let names = PrunedTable::ALL.map(PrunedTable::as_str).join(", ");
        format!("is one of {names}")
    })
}
