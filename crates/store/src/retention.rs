//! Retention: deletion of expired rows, batch by batch.

mod batch_size;
mod run;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use protocol::account::AccountType;
use protocol::id::UserId;

use crate::StoreError;
use crate::answers::Receipt;

pub use self::run::{PrunePace, PruneRun};

/// Deletion of expired rows. Each table is pruned by one process at a time, and a batch waits for no lock of a row: rows that another
/// transaction holds are left to the next batch.
#[async_trait]
pub trait Retention: Send + Sync {
    /// Deletes one batch of a table's expired rows, in a transaction of its own.
    ///
    /// # Errors
    /// [`StoreError`]; a repeat deletes what is left.
    async fn prune_batch(&self, batch: &PruneBatch<'_>) -> Result<PruneOutcome, StoreError>;

    /// Time since all expired rows of each table were deleted last.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn prune_ages(&self) -> Result<Vec<(PrunedTable, Duration)>, StoreError>;
}

/// Request to delete expired rows.
#[derive(Debug, Clone, Copy)]
pub struct PruneBatch<'a> {
    /// Table.
    pub table: PrunedTable,
    /// Most rows of the batch.
    pub limit: u16,
    /// Condition and place of its start.
    pub start: PruneStart,
    /// Retention times that an operator sets.
    pub times: &'a RetentionTimes,
    /// Receipt of the run, for the audit log.
    pub receipt: &'a Receipt,
}

/// Start of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PruneStart {
    /// Place where the batch before has stopped, and only if the table is due.
    IfDue,
    /// Place where the batch before has stopped.
    Next,
    /// Start of the table.
    First,
}

/// Result of [`Retention::prune_batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PruneOutcome {
    /// Another process prunes the table.
    Busy,
    /// The table was pruned a short time ago.
    NotDue,
    /// Number of deleted rows, and whether none is left.
    Pruned {
        /// Deleted rows.
        rows: u64,
        /// True if this was the last batch, for now.
        is_last: bool,
    },
}

/// Retention times that an operator sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionTimes {
    /// `POSTERN_DEAD_TASKS_KEPT`: retention of tasks that were given up.
    pub dead_tasks: Duration,
    /// `POSTERN_ENDED_SESSIONS_KEPT`: retention of ended sessions, from their end and from the expiry of the last token that was presented
    /// in them. Longer than any token's lifetime.
    pub ended_sessions: Duration,
    /// `POSTERN_APP_WEBHOOK_MAX_STORED`: most webhooks to the application that are stored.
    pub max_app_webhooks: u32,
}

impl Default for RetentionTimes {
    fn default() -> Self {
        Self {
            dead_tasks: DAY * 90,
            ended_sessions: DAY * 400,
            max_app_webhooks: 1_000_000,
        }
    }
}

/// Defines the tables with their names and intervals.
macro_rules! pruned_tables {
    ($($(#[$doc:meta])* $table:ident => $name:literal, $interval:expr;)+) => {
        /// Table whose expired rows are deleted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum PrunedTable {
            $($(#[$doc])* $table,)+
        }

        impl PrunedTable {
            /// All tables.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$table),+];

            /// Name of the table.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$table => $name,)+
                }
            }

            /// Time after which the table is pruned again.
            pub(crate) fn interval(self) -> Duration {
                match self {
                    $(Self::$table => $interval,)+
                }
            }
        }
    };
}

pruned_tables! {
    /// Alerts, 90 days after they were raised.
    Alerts => "alerts", OFTEN;
    /// Answers to commands, after the retention of each.
    Answers => "answers", OFTEN;
    /// Webhooks to the application, [`RetentionTimes::dead_tasks`] after their events, and the oldest of more than
    /// [`RetentionTimes::max_app_webhooks`].
    AppWebhooks => "app_webhooks", OFTEN;
    /// Used confirmations, after a day.
    Confirmations => "confirmations", OFTEN;
    /// Used authorization codes and states, after a day.
    Exchanges => "exchanges", OFTEN;
    /// Published events, after a day. An unpublished one is kept.
    Outbox => "outbox", OFTEN;
    /// Devices and networks, 90 days after their last use.
    Seen => "seen", OFTEN;
    /// Sessions that expired without activity, a day after the last token that was presented in them has expired; sessions that were ended,
    /// [`RetentionTimes::ended_sessions`] after that.
    Sessions => "sessions", DAY;
    /// Tasks that were given up, after [`RetentionTimes::dead_tasks`]. Each leaves a row in the audit log.
    Tasks => "tasks", OFTEN;
    /// Users without anything, not even a row of the audit log, if their sessions were not ended within
    /// [`RetentionTimes::ended_sessions`].
    Users => "users", DAY;
    /// Ids of webhook deliveries, after a week.
    WebhookDeliveries => "webhook_deliveries", OFTEN;
}

impl PrunedTable {
    /// Table of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.as_str() == name)
    }
}

impl fmt::Display for PrunedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Logs the deletion of webhooks to the application that were above the bound.
pub(crate) fn log_dropped_app_webhooks(webhooks: u64) {
    tracing::warn!(
        webhooks,
        "oldest application webhooks deleted, more than POSTERN_APP_WEBHOOK_MAX_STORED are stored"
    );
}

/// Logs the deletion of a task that was given up.
pub(crate) fn log_dropped_task(user: &UserId, platform: AccountType) {
    tracing::warn!(
        %user,
        %platform,
        "revocation task deleted at the end of its retention, its tokens were not revoked"
    );
}

/// Interval of tables whose expired rows an index finds. Less than the minute between two runs of a worker.
const OFTEN: Duration = Duration::from_secs(45);

/// Interval of tables that are read page by page.
const DAY: Duration = Duration::from_hours(24);
