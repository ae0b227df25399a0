//! Transactions. BEGIN sets their limits in the same message, because a pooler rejects options at the start of a connection and
//! may use another server for each transaction.

use futures_util::future::{try_join3, try_join4};
use tokio_postgres::{Error, Row};

use super::connection::{Answer, Connection};
use super::error::Failure;
use super::parameter::{Parameter, Query};
use crate::metrics::OperationTimer;

/// Open transaction. When dropped, it is rolled back before anything else is sent on its connection.
pub(super) struct Transaction<'a> {
    open: OpenTransaction<'a>,
    timer: &'a OperationTimer<'a>,
}

impl<'a> Transaction<'a> {
    /// Begins a transaction whose statements are measured by this timer.
    pub(super) async fn begin(connection: &'a Connection, timer: &'a OperationTimer<'a>) -> Result<Self, Error> {
        let open = OpenTransaction::new(connection);
        timer.measure(connection.run_plain(BEGIN)).await?;
        Ok(Self { open, timer })
    }

    /// Sends COMMIT at the first poll.
    pub(super) async fn commit(self) -> Result<(), Error> {
        let Self { open, timer } = self;
        timer.measure(open.commit()).await
    }

    pub(super) async fn query(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<Vec<Row>, Error> {
        Ok(self.run((sql, parameters)).await?.rows)
    }

    /// First row, if there is one.
    pub(super) async fn query_opt(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, parameters).await?.into_iter().next())
    }

    /// Row of a statement that always returns one.
    pub(super) async fn query_one(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<Row, Failure> {
        let row = self.query_opt(sql, parameters).await?;
        row.ok_or_else(|| Failure::row(NoRow))
    }

    /// Executes a statement and returns the number of rows that it wrote.
    pub(super) async fn execute(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<u64, Error> {
        Ok(self.run((sql, parameters)).await?.affected)
    }

    /// Runs two statements, one after the other. They are sent together.
    pub(super) async fn query_both(&self, first: Query<'_>, second: Query<'_>) -> Result<(Vec<Row>, Vec<Row>), Error> {
        let both = self.open.connection.run_both(first, second);
        let (first, second) = self.timer.measure(both).await?;
        Ok((first.rows, second.rows))
    }

    async fn run(&self, query: Query<'_>) -> Result<Answer, Error> {
        self.timer.measure(self.open.connection.run(query)).await
    }
}

/// Transaction that is rolled back when dropped, unless COMMIT was sent.
struct OpenTransaction<'a> {
    connection: &'a Connection,
    is_open: bool,
}

impl<'a> OpenTransaction<'a> {
    /// Constructed before BEGIN is sent: a caller that stops waiting for the answer may have sent it.
    fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            is_open: true,
        }
    }

    /// Sends COMMIT at the first poll.
    async fn commit(mut self) -> Result<(), Error> {
        self.is_open = false;
        self.connection.run_plain("COMMIT").await
    }
}

impl Drop for OpenTransaction<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.connection.send_plain("ROLLBACK");
        }
    }
}

/// Runs a statement in a transaction of its own. All messages are sent together.
pub(super) async fn run_alone(connection: &Connection, query: Query<'_>) -> Result<Vec<Row>, Error> {
    let ready = connection.prepare(query).await?;
    let transaction = OpenTransaction::new(connection);
    let started = connection.run_plain(BEGIN);
    let sent = connection.send(&ready, query);
    let ((), answer, ()) = try_join3(started, sent, transaction.commit()).await?;
    Ok(answer.rows)
}

/// Runs two statements, one after the other, in a transaction of their own. All messages are sent together.
pub(super) async fn run_both_alone(
    connection: &Connection,
    first: Query<'_>,
    second: Query<'_>,
) -> Result<(Vec<Row>, Vec<Row>), Error> {
    let (ready, then) = (connection.prepare(first).await?, connection.prepare(second).await?);
    let transaction = OpenTransaction::new(connection);
    let started = connection.run_plain(BEGIN);
    let (sent, sent_then) = (connection.send(&ready, first), connection.send(&then, second));
    let ((), first, second, ()) = try_join4(started, sent, sent_then, transaction.commit()).await?;
    Ok((first.rows, second.rows))
}

/// A statement that always returns a row returned none.
#[derive(Debug, thiserror::Error)]
#[error("the statement returned no row")]
struct NoRow;

/// Limits in milliseconds. The last one frees the locks of a worker that stopped in the middle of a transaction.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = 2000; SET LOCAL lock_timeout = 2000; \
                     SET LOCAL idle_in_transaction_session_timeout = 10000";
