//! Connection pool: runs transactions and single statements within their time limits.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool::managed::Object;
use lifecycle::Dependency;
use protocol::app_webhook::AppWebhookType;
use protocol::fault::chain;
use tokio::time::Instant;
use tokio_postgres::Row;
use tracing::Instrument;

use super::RootsError;
use super::checkout::{Checkout, Connections, WaitLimits, within};
use super::connection::{Connection, Opener};
use super::error::{ConnectionFault, Failure, operation_end};
use super::parameter::{Parameter, Query};
use super::settings::PgSettings;
use super::trace::{operation_span, record_failure};
use super::transaction::{Transaction, run_alone, run_both_alone};
use crate::StoreError;
use crate::metrics::{Metrics, OperationTimer, PoolUsage};
use crate::step::Step;

/// Pool with a bounded number of connections. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    connections: Connections,
    metrics: Metrics,
    dependency: Option<Dependency>,
    /// Types of the webhooks to the application that transactions queue.
    app_webhooks: Arc<[AppWebhookType]>,
}

/// Content of one transaction.
#[async_trait]
pub(super) trait Work: Sync {
    /// Result of the transaction.
    type Outcome: Send;

    /// Time limit of the transaction, the wait for a connection included.
    const TIME_LIMIT: Duration = TIME_LIMIT;

    /// Deadline of the job.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Reads and writes. Runs again, in a new transaction, after a conflict with another one.
    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<Self::Outcome>, Failure>;
}

/// Decision on the end of a transaction.
#[derive(Debug)]
pub(super) enum Ending<T> {
    /// Commit.
    Commit(T),
    /// Commit unless this instant has passed.
    CommitBefore(Instant, T),
    /// Nothing: the last statement was sent with COMMIT, by [`Transaction::commit_with`].
    Committed(T),
    /// Roll back.
    RollBack(T),
}

impl Pool {
    pub(super) fn new(settings: &PgSettings, metrics: Metrics) -> Result<Self, RootsError> {
        let opener = Opener::new(settings, metrics.clone())?;
        Ok(Self {
            connections: Connections::new(opener, settings.pool_size),
            metrics,
            dependency: None,
            app_webhooks: Arc::clone(&settings.app_webhooks),
        })
    }

    /// Reports outages of the server to this dependency from now on.
    pub(super) fn report_to(&mut self, dependency: Dependency) {
        self.dependency = Some(dependency);
    }

    /// Runs a transaction. After a conflict with another one, or on a broken connection, retries at once, up to 3 attempts in all.
    pub(super) async fn transact<W: Work>(&self, step: Step, work: &W) -> Result<W::Outcome, StoreError> {
        let limits = WaitLimits::new(W::TIME_LIMIT, work.deadline());
        let span = operation_span(step);
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            match self.attempt(step, work, limits).instrument(span.clone()).await {
                Err(failure) if failure.may_be_repeated() && left > 0 => {}
                Ok(outcome) => {
                    self.succeeded();
                    return Ok(outcome);
                }
                Err(failure) => {
                    record_failure(&span, &failure);
                    return Err(self.report(step, failure));
                }
            }
        }
    }

    /// Runs one statement in a transaction of its own.
    pub(super) async fn query(
        &self,
        step: Step,
        sql: &str,
        parameters: &[&dyn Parameter],
    ) -> Result<Vec<Row>, StoreError> {
        self.ask(step, async |connection| run_alone(connection, (sql, parameters)).await)
            .await
    }

    /// Runs two statements, one after the other, in a transaction of their own. They are sent together.
    pub(super) async fn query_both(
        &self,
        step: Step,
        first: Query<'_>,
        second: Query<'_>,
    ) -> Result<(Vec<Row>, Vec<Row>), StoreError> {
        self.ask(step, async |connection| run_both_alone(connection, first, second).await)
            .await
    }

    async fn ask<T>(
        &self,
        step: Step,
        ask: impl AsyncFnOnce(&Connection) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        let timer = self.metrics.operation(step);
        let answer = async {
            let limits = WaitLimits::new(TIME_LIMIT, None);
            let checkout = self.check_out(limits, &timer).await?;
            let answer = within(checkout.until, timer.measure(ask(&checkout.connection))).await;
            self.check_in(checkout, answer.as_ref().err());
            answer
        };
        let span = operation_span(step);
        let answer = answer.instrument(span.clone()).await;
        timer.end(operation_end(&answer));
        match answer {
            Ok(answer) => {
                self.succeeded();
                Ok(answer)
            }
            Err(failure) => {
                record_failure(&span, &failure);
                Err(self.report(step, failure))
            }
        }
    }

    /// Returns a function that reads the usage of the pool while the pool exists. The function does not keep connections open.
    pub(crate) fn usage(&self) -> impl Fn() -> PoolUsage + Send + Sync + use<> {
        let pool = self.connections.pool.weak();
        let permits = self.connections.permits.clone();
        move || match pool.upgrade().map(|pool| pool.status()) {
            Some(status) => PoolUsage {
                idle: status.available,
                used: status.size.saturating_sub(status.available),
                waiting: permits.waiting(),
                max: status.max_size,
            },
            None => PoolUsage::default(),
        }
    }

    /// Counts a failure, reports an outage, and converts the failure into the error of this step.
    pub(super) fn report(&self, step: Step, failure: Failure) -> StoreError {
        let error = failure.during(step);
        self.metrics.failed(step, &error);
        if let (Some(dependency), Some(class)) = (&self.dependency, error.outage()) {
            dependency.failed(class, chain(&error));
        }
        error
    }

    fn succeeded(&self) {
        if let Some(dependency) = &self.dependency {
            dependency.succeeded();
        }
    }

    async fn attempt<W: Work>(&self, step: Step, work: &W, limits: WaitLimits) -> Result<W::Outcome, Failure> {
        let timer = self.metrics.operation(step);
        let outcome = async {
            let checkout = self.check_out(limits, &timer).await?;
            let tx = Transaction::new(&checkout.connection, &timer, &self.app_webhooks);
            let outcome = transaction(tx, work, checkout.until).await;
            self.check_in(checkout, outcome.as_ref().err());
            outcome
        };
        let outcome = outcome.await;
        timer.end(operation_end(&outcome));
        outcome
    }

    async fn check_out(&self, limits: WaitLimits, timer: &OperationTimer<'_>) -> Result<Checkout, Failure> {
        let _wait = self.metrics.connection_wait();
        self.connections.check_out(limits, timer).await
    }

    /// Returns a connection, or closes it if it is broken. If the server is the cause, also closes the idle connections, which
    /// would fail in the same way. Connections in use to a server that accepts no writes are not used again either: reads on
    /// them would succeed unnoticed.
    fn check_in(&self, checkout: Checkout, failure: Option<&Failure>) {
        let Some(fault) = failure.and_then(Failure::fault) else {
            return;
        };
        let pool = &self.connections.pool;
        let mut closed = vec![Object::take(checkout.connection)];
        if matches!(fault, ConnectionFault::ReadOnly | ConnectionFault::Shutdown) {
            pool.manager().condemn_server();
        }
        if fault != ConnectionFault::Closed {
            closed.extend(pool.retain(|_, _| false).removed);
        }
        self.metrics.discarded(fault.discard_reason(), closed.len());
    }
}

async fn transaction<W: Work>(tx: Transaction<'_>, work: &W, until: Instant) -> Result<W::Outcome, Failure> {
    let outcome = match within(until, work.run(&tx)).await? {
        // Dropping the transaction rolls it back before anything else is sent on its connection.
        Ending::RollBack(outcome) | Ending::Committed(outcome) => return Ok(outcome),
        Ending::CommitBefore(deadline, _) if Instant::now() >= deadline => return Err(Failure::TooLate),
        Ending::CommitBefore(_, outcome) | Ending::Commit(outcome) => outcome,
    };
    let until = until.max(Instant::now() + MIN_COMMIT_TIME);
    let committed = within(until, tx.commit()).await;
    committed.map_err(|failure| Failure::Commit(Box::new(failure)))?;
    Ok(outcome)
}

/// Time limit of a transaction, with its connection and all its statements.
const TIME_LIMIT: Duration = Duration::from_millis(2_500);

/// Least wait for the answer to a COMMIT that was sent late: an unknown outcome costs more than the wait.
const MIN_COMMIT_TIME: Duration = Duration::from_millis(300);

const ATTEMPTS: u32 = 3;
