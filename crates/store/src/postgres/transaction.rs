//! Transactions. Their limits are set in the message that begins them: a pooler between us and Postgres refuses options at the
//! start of a connection, and gives each transaction another server.

use futures_util::future::{try_join3, try_join4};
use tokio_postgres::{Error, Row};

use super::connection::Connection;
use super::error::Failure;
use super::parameter::{Parameter, Query};

/// An open transaction. Dropped, it is rolled back before anything else is sent on its connection.
pub(super) struct Transaction<'a> {
    connection: &'a Connection,
    is_open: bool,
}

impl<'a> Transaction<'a> {
    pub(super) async fn begin(connection: &'a Connection) -> Result<Self, Error> {
        let transaction = Self::opened(connection);
        connection.run_plain(BEGIN).await?;
        Ok(transaction)
    }

    /// Before BEGIN is sent: whoever stops waiting for the answer may have sent it.
    fn opened(connection: &'a Connection) -> Self {
        Self {
            connection,
            is_open: true,
        }
    }

    /// Sends COMMIT, the first time this is polled.
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        self.is_open = false;
        self.connection.run_plain("COMMIT").await
    }

    pub(super) async fn query(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<Vec<Row>, Error> {
        Ok(self.connection.run((sql, parameters)).await?.rows)
    }

    /// The first row, where there is any.
    pub(super) async fn query_opt(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, parameters).await?.into_iter().next())
    }

    /// The row of a statement that always has one.
    pub(super) async fn query_one(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<Row, Failure> {
        let row = self.query_opt(sql, parameters).await?;
        row.ok_or_else(|| Failure::row(NoRow))
    }

    /// How many rows it wrote.
    pub(super) async fn execute(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<u64, Error> {
        Ok(self.connection.run((sql, parameters)).await?.affected)
    }

    /// Runs two statements, the second after the first. They travel together.
    pub(super) async fn query_both(&self, first: Query<'_>, second: Query<'_>) -> Result<(Vec<Row>, Vec<Row>), Error> {
        let (first, second) = self.connection.run_both(first, second).await?;
        Ok((first.rows, second.rows))
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.connection.send_plain("ROLLBACK");
        }
    }
}

/// Runs a statement in a transaction of its own. All of it travels together.
pub(super) async fn run_alone(connection: &Connection, query: Query<'_>) -> Result<Vec<Row>, Error> {
    let ready = connection.prepare(query).await?;
    let transaction = Transaction::opened(connection);
    let begun = connection.run_plain(BEGIN);
    let sent = connection.send(&ready, query);
    let ((), answer, ()) = try_join3(begun, sent, transaction.commit()).await?;
    Ok(answer.rows)
}

/// Runs two statements in a transaction of their own, the second after the first. All of it travels together.
pub(super) async fn run_both_alone(
    connection: &Connection,
    first: Query<'_>,
    second: Query<'_>,
) -> Result<(Vec<Row>, Vec<Row>), Error> {
    let (ready, then) = (connection.prepare(first).await?, connection.prepare(second).await?);
    let transaction = Transaction::opened(connection);
    let begun = connection.run_plain(BEGIN);
    let (sent, sent_then) = (connection.send(&ready, first), connection.send(&then, second));
    let ((), first, second, ()) = try_join4(begun, sent, sent_then, transaction.commit()).await?;
    Ok((first.rows, second.rows))
}

/// A statement gave no row that always gives one.
#[derive(Debug, thiserror::Error)]
#[error("there is no row")]
struct NoRow;

/// In milliseconds. The last limit frees the locks of a worker that was stopped in the middle of a transaction.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = 2000; SET LOCAL lock_timeout = 2000; \
                     SET LOCAL idle_in_transaction_session_timeout = 10000";
