//! Transactions. BEGIN sets their limits in the same message, because a pooler rejects options at the start of a connection and
//! may use another server for each transaction. It is sent together with the first statement.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{join, try_join, try_join3, try_join4};
use protocol::app_webhook::AppWebhookType;
use tokio_postgres::{Error, Row};

use super::connection::{Answer, Connection};
use super::error::Failure;
use super::parameter::{Parameter, Query};
use crate::metrics::OperationTimer;

/// Transaction. When dropped, it is rolled back before anything else is sent on its connection.
pub(super) struct Transaction<'a> {
    open: OpenTransaction<'a>,
    timer: &'a OperationTimer<'a>,
    app_webhooks: &'a [AppWebhookType],
}

impl<'a> Transaction<'a> {
    /// Creates a transaction whose statements are measured by this timer, and whose events of these types are queued for the application.
    /// Its first statement begins it.
    pub(super) fn new(
        connection: &'a Connection,
        timer: &'a OperationTimer<'a>,
        app_webhooks: &'a [AppWebhookType],
    ) -> Self {
        let open = OpenTransaction::new(connection);
        Self {
            open,
            timer,
            app_webhooks,
        }
    }

    /// Types of the events that are queued for the application.
    pub(super) fn app_webhooks(&self) -> &[AppWebhookType] {
        self.app_webhooks
    }

    /// Sends COMMIT at the first poll.
    pub(super) async fn commit(self) -> Result<(), Error> {
        let Self { open, timer, .. } = self;
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
        let (first, second) = self.timer.measure(self.open.run_both(first, second)).await?;
        Ok((first.rows, second.rows))
    }

    /// Executes the last statement of the transaction and commits. Both are sent together; where the statement fails, COMMIT rolls back.
    ///
    /// # Errors
    /// [`Failure::Commit`] if the transaction may have been committed.
    pub(super) async fn commit_with(&self, last: Query<'_>) -> Result<(), Failure> {
        self.timer.measure(self.open.commit_with(last)).await
    }

    async fn run(&self, query: Query<'_>) -> Result<Answer, Error> {
        self.timer.measure(self.open.run(query)).await
    }
}

/// Transaction that is rolled back when dropped, if BEGIN was sent and COMMIT was not.
struct OpenTransaction<'a> {
    connection: &'a Connection,
    is_open: AtomicBool,
}

impl<'a> OpenTransaction<'a> {
    fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            is_open: AtomicBool::new(false),
        }
    }

    async fn run(&self, query: Query<'_>) -> Result<Answer, Error> {
        if self.is_open() {
            return self.connection.run(query).await;
        }
        // Prepared before BEGIN is sent: otherwise the first statement would be sent later than BEGIN.
        let ready = self.connection.prepare(query).await?;
        let sent = self.connection.send(&ready, query);
        Ok(try_join(self.begin(), sent).await?.1)
    }

    async fn run_both(&self, first: Query<'_>, second: Query<'_>) -> Result<(Answer, Answer), Error> {
        if self.is_open() {
            return self.connection.run_both(first, second).await;
        }
        let connection = self.connection;
        let (ready, then) = (connection.prepare(first).await?, connection.prepare(second).await?);
        let (sent, sent_then) = (connection.send(&ready, first), connection.send(&then, second));
        let ((), first, second) = try_join3(self.begin(), sent, sent_then).await?;
        Ok((first, second))
    }

    /// Sends BEGIN at the first poll.
    async fn begin(&self) -> Result<(), Error> {
        // Set before BEGIN is sent: a caller that stops waiting for the answer may have sent it.
        self.is_open.store(true, Ordering::Relaxed);
        self.connection.run_plain(BEGIN).await
    }

    async fn commit_with(&self, last: Query<'_>) -> Result<(), Failure> {
        let ready = self.connection.prepare(last).await?;
        let (written, committed) = join(self.connection.send(&ready, last), self.commit()).await;
        match (written, committed) {
            (Ok(_), Ok(())) => Ok(()),
            // The server refused the statement, and rolled the transaction back.
            (Err(error), _) if error.as_db_error().is_some() => Err(error.into()),
            (Err(error), _) | (Ok(_), Err(error)) => Err(Failure::Commit(Box::new(error.into()))),
        }
    }

    /// Sends COMMIT at the first poll.
    async fn commit(&self) -> Result<(), Error> {
        self.is_open.store(false, Ordering::Relaxed);
        self.connection.run_plain("COMMIT").await
    }

    fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }
}

impl Drop for OpenTransaction<'_> {
    fn drop(&mut self) {
        if self.is_open() {
            self.connection.send_plain("ROLLBACK");
        }
    }
}

/// Runs a statement in a transaction of its own. All messages are sent together.
pub(super) async fn run_alone(connection: &Connection, query: Query<'_>) -> Result<Vec<Row>, Error> {
    let ready = connection.prepare(query).await?;
    let transaction = OpenTransaction::new(connection);
    let sent = connection.send(&ready, query);
    let ((), answer, ()) = try_join3(transaction.begin(), sent, transaction.commit()).await?;
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
    let (sent, sent_then) = (connection.send(&ready, first), connection.send(&then, second));
    let ((), first, second, ()) = try_join4(transaction.begin(), sent, sent_then, transaction.commit()).await?;
    Ok((first.rows, second.rows))
}

/// A statement that always returns a row returned none.
#[derive(Debug, thiserror::Error)]
#[error("the statement returned no row")]
struct NoRow;

/// Limits in milliseconds. The last one frees the locks of a worker that stopped in the middle of a transaction.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = 2000; SET LOCAL lock_timeout = 2000; \
                     SET LOCAL idle_in_transaction_session_timeout = 10000";
