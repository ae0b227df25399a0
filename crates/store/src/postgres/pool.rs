//! Connections, transactions, and how long we wait for either.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Client, Manager, Object, Runtime, Transaction};
use futures_util::future::try_join;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::error::Failure;
use super::settings::{CONNECT_TIMEOUT, PgSettings};
use super::{RootsError, tls};
use crate::StoreError;
use crate::metrics::Metrics;

/// A bounded number of connections. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    connections: deadpool_postgres::Pool,
    metrics: Metrics,
}

/// What is done within one transaction.
#[async_trait]
pub(super) trait Work: Sync {
    /// What comes of it.
    type Outcome: Send;

    /// How long all of it may take, the wait for a connection included.
    const PATIENCE: Duration = PATIENCE;

    /// Reads and writes. Runs again, in a new transaction, when another one was in the way.
    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<Self::Outcome>, Failure>;
}

/// How a transaction is to end.
#[derive(Debug)]
pub(super) enum Ending<T> {
    /// Keep what was written.
    Commit(T),
    /// Keep what was written, unless this instant has passed.
    CommitBefore(Instant, T),
    /// Write nothing after all.
    RollBack(T),
}

impl Pool {
    pub(super) fn new(settings: &PgSettings, metrics: Metrics) -> Result<Self, RootsError> {
        let manager = Manager::new(settings.for_service(), tls::connector(&settings.roots)?);
        let connections = deadpool_postgres::Pool::builder(manager)
            .runtime(Runtime::Tokio1)
            .max_size(settings.pool_size)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(CONNECT_TIMEOUT))
            .build();
        #[expect(clippy::expect_used, reason = "fails only when timeouts are set without a runtime")]
        let connections = connections.expect("the pool has a runtime");
        Ok(Self { connections, metrics })
    }

    /// Runs a transaction; a conflict with another one is tried again at once, 3 times in all.
    pub(super) async fn transact<W: Work>(&self, step: &'static str, work: &W) -> Result<W::Outcome, StoreError> {
        let until = Instant::now() + W::PATIENCE;
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            match self.attempt(work, until).await {
                Err(failure) if failure.is_conflict() && left > 0 => {}
                done => return done.map_err(|failure| self.report(step, failure)),
            }
        }
    }

    /// Runs one statement that is a transaction of its own.
    pub(super) async fn query(
        &self,
        step: &'static str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        self.ask(step, async |client| query(client, (sql, values)).await).await
    }

    /// Runs two statements that are a transaction each, the second after the first. They travel together.
    pub(super) async fn query_both(
        &self,
        step: &'static str,
        first: Query<'_>,
        second: Query<'_>,
    ) -> Result<(Vec<Row>, Vec<Row>), StoreError> {
        let both = async |client: &Client| try_join(query(client, first), query(client, second)).await;
        self.ask(step, both).await
    }

    async fn ask<T>(
        &self,
        step: &'static str,
        ask: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        let until = Instant::now() + PATIENCE;
        let answer = async {
            let client = self.connection(until).await?;
            let answer = within(until, ask(&client)).await;
            self.put_back(client, answer.as_ref().err());
            answer
        };
        answer.await.map_err(|failure| self.report(step, failure))
    }

    /// Says what the connections are doing, for as long as there are any. To watch them does not keep them open.
    pub(crate) fn usage(&self) -> impl Fn() -> Usage + Send + Sync + use<> {
        let connections = self.connections.weak();
        move || match connections.upgrade().map(|pool| pool.status()) {
            Some(status) => Usage {
                idle: status.available,
                in_use: status.size.saturating_sub(status.available),
                waiting: status.waiting,
            },
            None => Usage::default(),
        }
    }

    /// Counts a failure and says what it means.
    pub(super) fn report(&self, step: &'static str, failure: Failure) -> StoreError {
        let error = failure.during(step);
        self.metrics.failed(step, &error);
        error
    }

    async fn attempt<W: Work>(&self, work: &W, until: Instant) -> Result<W::Outcome, Failure> {
        let mut client = self.connection(until).await?;
        let outcome = transaction(&mut client, work, until).await;
        self.put_back(client, outcome.as_ref().err());
        outcome
    }

    async fn connection(&self, until: Instant) -> Result<Client, Failure> {
        within(until, self.connections.get()).await
    }

    /// A connection that did not answer is closed and not used again, and neither are those that lay idle: whatever keeps the
    /// one from answering keeps them too, and each would cost somebody the wait to find out.
    fn put_back(&self, client: Client, failure: Option<&Failure>) {
        if failure.is_some_and(Failure::spoils_connection) {
            drop(Object::take(client));
            drop(self.connections.retain(|_, _| false));
        }
    }
}

/// A statement and its values.
pub(super) type Query<'a> = (&'a str, &'a [&'a (dyn ToSql + Sync)]);

async fn query(client: &Client, (sql, values): Query<'_>) -> Result<Vec<Row>, tokio_postgres::Error> {
    let statement = client.prepare_cached(sql).await?;
    client.query(&statement, values).await
}

/// What the connections are doing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) idle: usize,
    pub(crate) in_use: usize,
    pub(crate) waiting: usize,
}

async fn transaction<W: Work>(client: &mut Client, work: &W, until: Instant) -> Result<W::Outcome, Failure> {
    let (tx, ending) = within(until, async {
        let tx = client.transaction().await?;
        let ending = work.run(&tx).await?;
        Ok::<_, Failure>((tx, ending))
    })
    .await?;
    let outcome = match ending {
        // Dropping the transaction rolls it back, before anything else is sent on its connection.
        Ending::RollBack(outcome) => return Ok(outcome),
        Ending::CommitBefore(deadline, _) if Instant::now() >= deadline => return Err(Failure::TooLate),
        Ending::CommitBefore(_, outcome) | Ending::Commit(outcome) => outcome,
    };
    let until = until.max(Instant::now() + LEAST_FOR_COMMIT);
    let committed = within(until, tx.commit()).await;
    committed.map_err(|failure| Failure::Commit(Box::new(failure)))?;
    Ok(outcome)
}

/// Waits for an answer of the server, and no longer.
async fn within<T, E: Into<Failure>>(until: Instant, answer: impl Future<Output = Result<T, E>>) -> Result<T, Failure> {
    match timeout_at(until, answer).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_elapsed) => Err(Failure::Silent),
    }
}

/// How long a caller waits for a transaction, with its connection and all its statements.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// A commit that was sent late is still given this long to be answered: not to know costs more than to wait.
const LEAST_FOR_COMMIT: Duration = Duration::from_millis(300);

const ATTEMPTS: u32 = 3;
