//! Indexes of tables that may be large. They are built beside the commands, after the migrations: those run in transactions, in which
//! Postgres cannot build an index concurrently.

use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::SetupError;
use super::schema_change::{Attempts, SHORT_WAITS};

/// All of them. A changed definition needs a new name.
const INDEXES: &[OnlineIndex] = &[
    // Rows are appended in the order of their times, so that a range of times is a few ranges of blocks. Other partitions have theirs from
    // the begin.
    OnlineIndex {
        name: "audit_by_time",
        table: "audit_initial",
        columns: "USING brin (at) WITH (autosummarize = on)",
    },
    // Events of a user that were sent recently: they are published again, before anything newer, when Redis has lost the user's event log.
    OnlineIndex {
        name: "outbox_recent",
        table: "outbox",
        columns: "(user_id, sent_at) WHERE sent_at IS NOT NULL",
    },
    OnlineIndex {
        name: "tasks_by_user",
        table: "tasks",
        columns: "(user_id)",
    },
];

/// Index of a table.
struct OnlineIndex {
    name: &'static str,
    table: &'static str,
    /// Method, columns and condition, as in `CREATE INDEX`.
    columns: &'static str,
}

/// Builds the missing indexes in the first schema of the `search_path`, and returns their names. A build that was cut off is repeated.
///
/// # Errors
/// [`SetupError::Index`], which the next run mends.
pub(super) async fn build_indexes(client: &Client) -> Result<Vec<String>, SetupError> {
    let mut built = Vec::new();
    for index in INDEXES {
        if index.build(client).await? {
            built.push(index.name.to_owned());
        }
    }
    Ok(built)
}

impl OnlineIndex {
    /// Builds the index; false if it exists, or its table was dropped.
    async fn build(&self, client: &Client) -> Result<bool, SetupError> {
        let name = self.name;
        self.execute(client, LONG_WAITS).await?;
        match self.is_valid(client).await? {
            Some(true) => return Ok(false),
            // Its build was cut off: no query uses it, and every write maintains it.
            Some(false) => self.execute(client, &format!("DROP INDEX CONCURRENTLY {name}")).await?,
            None if !self.table_exists(client).await? => return Ok(false),
            None => {}
        }
        if self.is_table_empty(client).await? {
            self.build_at_once(client).await?;
        } else {
            self.execute(client, &self.definition("CREATE INDEX CONCURRENTLY"))
                .await?;
        }
        Ok(true)
    }

    /// Builds the index of an empty table, as in a new schema. Unlike a concurrent build it does not wait for old transactions of the
    /// whole database.
    async fn build_at_once(&self, client: &Client) -> Result<(), SetupError> {
        self.execute(client, SHORT_WAITS).await?;
        let attempts = Attempts::new();
        while let Err(error) = self.execute(client, &self.definition("CREATE INDEX")).await {
            attempts.retry_after(error).await?;
        }
        Ok(())
    }

    fn definition(&self, create: &str) -> String {
        format!("{create} {} ON {} {}", self.name, self.table, self.columns)
    }

    /// Returns whether the index is complete; none if there is no such index.
    async fn is_valid(&self, client: &Client) -> Result<Option<bool>, SetupError> {
        let valid = format!(
            "SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid \
             JOIN pg_namespace ON pg_namespace.oid = relnamespace \
             WHERE relname = '{}' AND nspname = current_schema()",
            self.name
        );
        self.ask(client, &valid).await
    }

    async fn table_exists(&self, client: &Client) -> Result<bool, SetupError> {
        let exists = format!("SELECT to_regclass('{}') IS NOT NULL", self.table);
        self.ask(client, &exists).await.map(|exists| exists == Some(true))
    }

    async fn is_table_empty(&self, client: &Client) -> Result<bool, SetupError> {
        let empty = format!("SELECT NOT EXISTS (SELECT FROM {})", self.table);
        self.ask(client, &empty).await.map(|empty| empty == Some(true))
    }

    /// Value of the first row, a boolean; none without a row.
    async fn ask(&self, client: &Client, query: &str) -> Result<Option<bool>, SetupError> {
        let messages = client.simple_query(query).await.map_err(|error| self.failed(error))?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        Ok(row.map(|value| value == "t"))
    }

    async fn execute(&self, client: &Client, statements: &str) -> Result<(), SetupError> {
        client
            .batch_execute(statements)
            .await
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, source: Error) -> SetupError {
        SetupError::Index {
            name: self.name,
            source: Box::new(source),
        }
    }
}

/// Settings for concurrent builds: while these wait, for old transactions of the database too, no command waits behind them.
const LONG_WAITS: &str = "SET lock_timeout = 300000; SET statement_timeout = 0";
