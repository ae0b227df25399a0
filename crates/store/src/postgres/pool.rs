//! Connections, transactions, and how long we wait for either.

use std::time::Duration;

use async_trait::async_trait;
use deadpool::Runtime;
use deadpool::managed::{self, Object};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Row;

use super::RootsError;
use super::connection::{Connection, Opener};
use super::error::{Failure, Fault};
use super::parameter::{Parameter, Query};
use super::places::Places;
use super::settings::{CONNECT_TIMEOUT, PgSettings};
use super::taken::{Patience, Taken};
use super::transaction::{Transaction, run_alone, run_both_alone};
use crate::StoreError;
use crate::metrics::Metrics;

/// A bounded number of connections. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    pub(super) connections: managed::Pool<Opener>,
    pub(super) places: Places,
    metrics: Metrics,
}

/// What is done within one transaction.
#[async_trait]
pub(super) trait Work: Sync {
    /// What comes of it.
    type Outcome: Send;

    /// How long all of it may take, the wait for a connection included.
    const PATIENCE: Duration = PATIENCE;

    /// Until when its job waits.
    fn deadline(&self) -> Option<Instant> {
        None
    }

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
        let connections = managed::Pool::builder(Opener::new(settings, metrics.clone())?)
            .runtime(Runtime::Tokio1)
            .max_size(settings.pool_size)
            .create_timeout(Some(CONNECT_TIMEOUT))
            .build();
        #[expect(clippy::expect_used, reason = "fails only when timeouts are set without a runtime")]
        let connections = connections.expect("the pool has a runtime");
        Ok(Self {
            connections,
            places: Places::new(settings.pool_size),
            metrics,
        })
    }

    /// Runs a transaction. One that met a conflict with another one, or a connection of no use, is tried again at once, 3 times in
    /// all.
    pub(super) async fn transact<W: Work>(&self, step: &'static str, work: &W) -> Result<W::Outcome, StoreError> {
        let patience = Patience::new(W::PATIENCE, work.deadline());
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            match self.attempt(work, patience).await {
                Err(failure) if failure.may_be_repeated() && left > 0 => {}
                done => return done.map_err(|failure| self.report(step, failure)),
            }
        }
    }

    /// Runs one statement that is a transaction of its own.
    pub(super) async fn query(
        &self,
        step: &'static str,
        sql: &str,
        parameters: &[&dyn Parameter],
    ) -> Result<Vec<Row>, StoreError> {
        self.ask(step, async |connection| run_alone(connection, (sql, parameters)).await)
            .await
    }

    /// Runs two statements in a transaction of their own, the second after the first. They travel together.
    pub(super) async fn query_both(
        &self,
        step: &'static str,
        first: Query<'_>,
        second: Query<'_>,
    ) -> Result<(Vec<Row>, Vec<Row>), StoreError> {
        self.ask(step, async |connection| run_both_alone(connection, first, second).await)
            .await
    }

    async fn ask<T>(
        &self,
        step: &'static str,
        ask: impl AsyncFnOnce(&Connection) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        let answer = async {
            let taken = self.take(Patience::new(PATIENCE, None)).await?;
            let answer = within(taken.until, ask(&taken.connection)).await;
            self.put_back(taken, answer.as_ref().err());
            answer
        };
        answer.await.map_err(|failure| self.report(step, failure))
    }

    /// Says what the connections are doing, for as long as there are any. To watch them does not keep them open.
    pub(crate) fn usage(&self) -> impl Fn() -> Usage + Send + Sync + use<> {
        let connections = self.connections.weak();
        let places = self.places.clone();
        move || match connections.upgrade().map(|pool| pool.status()) {
            Some(status) => Usage {
                idle: status.available,
                in_use: status.size.saturating_sub(status.available),
                waiting: places.waiting(),
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

    async fn attempt<W: Work>(&self, work: &W, patience: Patience) -> Result<W::Outcome, Failure> {
        let taken = self.take(patience).await?;
        let outcome = transaction(&taken.connection, work, taken.until).await;
        self.put_back(taken, outcome.as_ref().err());
        outcome
    }

    /// A connection that is of no more use is closed. Where the server is to blame, so are the idle ones: each would cost somebody the
    /// same. Of those in use, the ones to a server that takes no writes are not used again either: reads there go on unnoticed.
    fn put_back(&self, taken: Taken, failure: Option<&Failure>) {
        let Some(fault) = failure.and_then(Failure::fault) else {
            return;
        };
        let mut closed = vec![Object::take(taken.connection)];
        if matches!(fault, Fault::ReadOnly | Fault::Shutdown) {
            self.connections.manager().condemn_server();
        }
        if fault != Fault::Closed {
            closed.extend(self.connections.retain(|_, _| false).removed);
        }
        self.metrics.discarded(fault.as_str(), closed.len());
    }
}

/// What the connections are doing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) idle: usize,
    pub(crate) in_use: usize,
    pub(crate) waiting: usize,
}

async fn transaction<W: Work>(connection: &Connection, work: &W, until: Instant) -> Result<W::Outcome, Failure> {
    let (tx, ending) = within(until, async {
        let tx = Transaction::begin(connection).await?;
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
pub(super) async fn within<T, E: Into<Failure>>(
    until: Instant,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
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
