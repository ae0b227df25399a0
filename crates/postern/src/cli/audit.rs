//! `postern audit`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use protocol::time::Timestamp;

use super::{OperatorArgs, OutputArgs};
use crate::config::{AuditVerifyArgs, DatabaseArgs, OwnerArgs, VaultKeysArgs};

/// `postern audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verify the chains of the audit log, and print the first changed row of each.
    Verify(AuditVerifyArgs),
    /// Print the audit log as JSON lines with the names of OCSF.
    Export(AuditExportArgs),
    /// Print the newest rows of the audit log, in the order of their time.
    Tail(AuditTailArgs),
    /// Write old rows of the audit log to files, and drop them from the database. Runs as the owner of the schema.
    Archive(Box<AuditArchiveArgs>),
}

/// `postern audit archive`.
#[derive(Debug, Args)]
pub struct AuditArchiveArgs {
    /// End of the archived time: partitions (months, UTC) that end by then are archived; at least a day ago.
    #[arg(long, value_parser = moment)]
    pub before: Moment,
    /// Directory of the files.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Connection as the owner of the schema.
    #[command(flatten)]
    pub owner: OwnerArgs,
    /// Operator, and the access to the store.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Form of the result.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `postern audit export`.
#[derive(Debug, Args)]
pub struct AuditExportArgs {
    /// Begin of the exported time: `2026-12-01T00:00:00Z`, or as long ago: `24h`.
    #[arg(long, value_parser = moment)]
    pub since: Moment,
    /// End of the exported time, which is not exported itself; default: now.
    #[arg(long, value_parser = moment)]
    pub until: Option<Moment>,
    /// User, to export a single chain.
    #[arg(long)]
    pub user: Option<String>,
    /// Postgres settings.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Vault keys.
    #[command(flatten)]
    pub vault: VaultKeysArgs,
}

/// `postern audit tail`.
#[derive(Debug, Args)]
pub struct AuditTailArgs {
    /// Begin of the printed time: `2026-12-01T00:00:00Z`, or as long ago: `24h`.
    #[arg(long, default_value = "10m", value_parser = moment)]
    pub since: Moment,
    /// Print later rows too, until the command is ended.
    #[arg(long)]
    pub follow: bool,
    /// User, to print a single chain.
    #[arg(long)]
    pub user: Option<String>,
    /// Postgres settings.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Vault keys.
    #[command(flatten)]
    pub vault: VaultKeysArgs,
    /// Form of the lines: `--json` prints those of `postern audit export`.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Point in time, absolute or relative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Absolute time.
    At(Timestamp),
    /// Time before now.
    Ago(Duration),
}

impl Moment {
    /// The time, by a clock that shows `now`.
    #[must_use]
    pub fn before(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => *time,
            Self::Ago(ago) => now.minus(*ago),
        }
    }
}

fn moment(text: &str) -> Result<Moment, &'static str> {
    if let Ok(time) = humantime::parse_rfc3339_weak(text) {
        return Ok(Moment::At(time.into()));
    }
    let ago = humantime::parse_duration(text);
    ago.map(Moment::Ago)
        .map_err(|_neither| "is a time such as `2026-12-01T00:00:00Z`, or a duration such as `24h`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moment_is_a_time_or_a_duration_before_now() {
        let now = Timestamp::from_millis(1_795_451_460_007);
        for (text, expected) in [
            ("2026-11-23T16:31:00Z", 1_795_451_460_000),
            ("1s", 1_795_451_459_007),
            ("1h 1s", 1_795_447_859_007),
        ] {
            assert_eq!(moment(text).unwrap().before(now).as_millis(), expected, "{text}");
        }
        for wrong in ["", "yesterday", "-1h"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
