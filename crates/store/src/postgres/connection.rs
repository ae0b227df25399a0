//! One connection: how it is opened, how statements are sent on it, and when it is not used again.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::managed::{self, Metrics as Usage, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use futures_util::TryStreamExt as _;
use futures_util::future::{FutureExt as _, try_join};
use lifecycle::{Entropy, OsEntropy};
use tokio::time::Instant;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row, Statement};

use super::parameter::Query;
use super::settings::PgSettings;
use super::{RootsError, tls};
use crate::metrics::Metrics;

/// A connection of the pool.
#[derive(Debug)]
pub(super) struct Connection {
    client: ClientWrapper,
    prepares: bool,
    /// How often the server had been condemned when this was opened.
    server: u64,
    retires_at: Instant,
}

/// What a statement gave.
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    /// Rows that it read or wrote.
    pub(super) affected: u64,
}

/// A statement that can be sent at once.
pub(super) enum Ready {
    Named(Statement),
    Unnamed,
}

impl Connection {
    /// Runs a statement.
    pub(super) async fn run(&self, query: Query<'_>) -> Result<Answer, Error> {
        let ready = self.prepare(query).await?;
        self.send(&ready, query).await
    }

    /// Runs two statements, the second after the first. They travel together.
    pub(super) async fn run_both(&self, first: Query<'_>, second: Query<'_>) -> Result<(Answer, Answer), Error> {
        // Before either is sent: one that is known would overtake the other while that is prepared.
        let (ready, then) = (self.prepare(first).await?, self.prepare(second).await?);
        try_join(self.send(&ready, first), self.send(&then, second)).await
    }

    /// Prepares a statement, where that is wanted and was not done before on this connection.
    pub(super) async fn prepare(&self, (sql, parameters): Query<'_>) -> Result<Ready, Error> {
        if !self.prepares {
            return Ok(Ready::Unnamed);
        }
        let types: Vec<Type> = parameters.iter().map(|parameter| parameter.sql_type()).collect();
        Ok(Ready::Named(self.client.prepare_typed_cached(sql, &types).await?))
    }

    /// Sends a statement, the first time this is polled, and reads what it gives.
    pub(super) async fn send(&self, ready: &Ready, (sql, parameters): Query<'_>) -> Result<Answer, Error> {
        let values = parameters.iter().map(|parameter| *parameter as &(dyn ToSql + Sync));
        let answer = match ready {
            Ready::Named(statement) => self.client.query_raw(statement, values).await?,
            Ready::Unnamed => {
                let types = parameters.iter().map(|parameter| parameter.sql_type());
                self.client.query_typed_raw(sql, values.zip(types)).await?
            }
        };
        let mut answer = pin!(answer);
        let mut rows = Vec::new();
        while let Some(row) = answer.try_next().await? {
            rows.push(row);
        }
        let affected = answer.rows_affected().unwrap_or_default();
        Ok(Answer { rows, affected })
    }

    /// Runs statements without parameters, in one message.
    pub(super) async fn run_plain(&self, statements: &str) -> Result<(), Error> {
        self.client.batch_execute(statements).await
    }

    /// Puts a statement without parameters on its way; what is sent later on this connection comes after it.
    pub(super) fn send_plain(&self, statement: &str) {
        // The first poll sends it. Who fails to is not connected any more.
        drop(self.client.batch_execute(statement).now_or_never());
    }
}

/// Opens connections, and decides which are used again.
pub(super) struct Opener {
    postgres: deadpool_postgres::Manager,
    prepares: bool,
    takes_read_only: bool,
    max_age: Duration,
    /// How often the server was condemned. Connections that were opened before the last time are not used again.
    condemned: AtomicU64,
    metrics: Metrics,
}

impl Opener {
    pub(super) fn new(settings: &PgSettings, metrics: Metrics) -> Result<Self, RootsError> {
        let tls = tls::connector(&settings.roots)?;
        Ok(Self {
            postgres: deadpool_postgres::Manager::new(settings.config(), tls),
            prepares: settings.prepares,
            takes_read_only: settings.takes_read_only,
            max_age: settings.max_age,
            condemned: AtomicU64::new(0),
            metrics,
        })
    }

    /// No connection that is open now is used again.
    pub(super) fn condemn_server(&self) {
        self.condemned.fetch_add(1, Ordering::Relaxed);
    }

    async fn open(&self) -> Result<Connection, OpenError> {
        let server = self.condemned.load(Ordering::Relaxed);
        let client = managed::Manager::create(&self.postgres).await?;
        if !self.takes_read_only {
            refuse_read_only(&client).await?;
        }
        Ok(Connection {
            client,
            prepares: self.prepares,
            server,
            retires_at: Instant::now() + lifetime(self.max_age, &OsEntropy),
        })
    }

    /// Why an idle connection is not to be used again.
    fn fault(&self, connection: &Connection) -> Option<&'static str> {
        if connection.client.is_closed() {
            Some("closed")
        } else if connection.server != self.condemned.load(Ordering::Relaxed) {
            Some("condemned")
        } else if Instant::now() >= connection.retires_at {
            Some("age")
        } else {
            None
        }
    }
}

impl managed::Manager for Opener {
    type Type = Connection;
    type Error = OpenError;

    async fn create(&self) -> Result<Connection, OpenError> {
        // It is large, seldom run, and a part of every wait for a connection.
        Box::pin(self.open()).await
    }

    async fn recycle(&self, connection: &mut Connection, _: &Usage) -> RecycleResult<OpenError> {
        let Some(fault) = self.fault(connection) else {
            return Ok(());
        };
        self.metrics.discarded(fault, 1);
        Err(RecycleError::message(fault))
    }

    fn detach(&self, connection: &mut Connection) {
        managed::Manager::detach(&self.postgres, &mut connection.client);
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").finish_non_exhaustive()
    }
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    Postgres(#[from] Error),
    #[error("the server takes no writes: it is a standby, or was demoted")]
    ReadOnly,
}

async fn refuse_read_only(client: &ClientWrapper) -> Result<(), OpenError> {
    let row = client.query_typed_one("SHOW transaction_read_only", &[]).await?;
    match row.try_get::<_, &str>(0)? {
        "off" => Ok(()),
        _ => Err(OpenError::ReadOnly),
    }
}

/// Spread over the last fifth, so that connections that were opened together are not all replaced together.
fn lifetime(max_age: Duration, entropy: &dyn Entropy) -> Duration {
    let fraction = f64::from(u32::from_le_bytes(entropy.bytes())) / f64::from(u32::MAX);
    max_age.mul_f64(1.0 - fraction / 5.0)
}

#[cfg(test)]
mod tests {
    use lifecycle::SeededEntropy;

    use super::*;

    #[test]
    fn lifetimes_are_spread_and_never_above_the_maximum() {
        let entropy = SeededEntropy::new(7);
        let max_age = Duration::from_secs(900);
        let drawn: Vec<_> = (0..100).map(|_| lifetime(max_age, &entropy)).collect();
        assert!(
            drawn.iter().all(|age| (max_age * 4 / 5..=max_age).contains(age)),
            "{drawn:?}"
        );
        assert!(drawn.iter().max() > drawn.iter().min());
    }
}
