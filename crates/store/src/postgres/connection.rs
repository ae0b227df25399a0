//! Database connection: opening, sending of statements, and retirement.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::managed::{self, Metrics as Usage, RecycleError, RecycleResult};
use deadpool_postgres::{ClientWrapper, ConfigConnectImpl, Connect};
use futures_util::TryStreamExt as _;
use futures_util::future::{FutureExt as _, try_join};
use lifecycle::{Entropy, OsEntropy};
use tokio::time::Instant;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::parameter::Query;
use super::settings::PgSettings;
use super::{RootsError, tls};
use crate::metrics::{DiscardReason, Metrics};

/// Connection of the pool.
#[derive(Debug)]
pub(super) struct Connection {
    client: ClientWrapper,
    prepares: bool,
    /// Value of the opener's counter when this was opened.
    server: u64,
    retires_at: Instant,
}

/// Result of a statement.
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    /// Number of rows that it read or wrote.
    pub(super) affected: u64,
}

/// Statement that can be sent at once.
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

    /// Runs two statements, one after the other. They are sent together.
    pub(super) async fn run_both(&self, first: Query<'_>, second: Query<'_>) -> Result<(Answer, Answer), Error> {
        // Both are prepared first: otherwise a cached statement would be sent before one that is still being prepared.
        let (ready, then) = (self.prepare(first).await?, self.prepare(second).await?);
        try_join(self.send(&ready, first), self.send(&then, second)).await
    }

    /// Prepares a statement, if that is enabled and was not done before on this connection.
    pub(super) async fn prepare(&self, (sql, parameters): Query<'_>) -> Result<Ready, Error> {
        if !self.prepares {
            return Ok(Ready::Unnamed);
        }
        let types: Vec<Type> = parameters.iter().map(|parameter| parameter.sql_type()).collect();
        Ok(Ready::Named(self.client.prepare_typed_cached(sql, &types).await?))
    }

    /// Sends a statement at the first poll, and reads its result.
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

    /// Sends a statement without parameters and does not wait; later statements on this connection run after it.
    pub(super) fn send_plain(&self, statement: &str) {
        // The first poll sends it. It fails only if the connection is closed.
        drop(self.client.batch_execute(statement).now_or_never());
    }
}

/// Opens connections, and decides which are used again.
pub(super) struct Opener {
    settings: PgSettings,
    postgres: ConfigConnectImpl<MakeRustlsConnect>,
    /// Number of times the server was condemned. Connections that were opened before the last time are not used again.
    condemned: AtomicU64,
    metrics: Metrics,
}

impl Opener {
    pub(super) fn new(settings: &PgSettings, metrics: Metrics) -> Result<Self, RootsError> {
        let tls = tls::connector(&settings.roots)?;
        Ok(Self {
            settings: settings.clone(),
            postgres: ConfigConnectImpl { tls },
            condemned: AtomicU64::new(0),
            metrics,
        })
    }

    /// Retires all connections that are open now.
    pub(super) fn condemn_server(&self) {
        self.condemned.fetch_add(1, Ordering::Relaxed);
    }

    async fn open(&self) -> Result<Connection, OpenError> {
        let server = self.condemned.load(Ordering::Relaxed);
        let (client, task) = self.postgres.connect(&self.settings.config()).await?;
        let client = ClientWrapper::new(client, task);
        if !self.settings.accepts_read_only {
            refuse_read_only(&client).await?;
        }
        Ok(Connection {
            client,
            prepares: self.settings.prepares,
            server,
            retires_at: Instant::now() + lifetime(self.settings.max_age, &OsEntropy),
        })
    }

    /// Reason to discard an idle connection.
    fn fault(&self, connection: &Connection) -> Option<DiscardReason> {
        if connection.client.is_closed() {
            Some(DiscardReason::Closed)
        } else if connection.server != self.condemned.load(Ordering::Relaxed) {
            Some(DiscardReason::Condemned)
        } else if Instant::now() >= connection.retires_at {
            Some(DiscardReason::Age)
        } else {
            None
        }
    }
}

impl managed::Manager for Opener {
    type Type = Connection;
    type Error = OpenError;

    async fn create(&self) -> Result<Connection, OpenError> {
        // Boxed because the future is large, rarely run, and part of every wait for a connection.
        Box::pin(self.open()).await
    }

    async fn recycle(&self, connection: &mut Connection, _: &Usage) -> RecycleResult<OpenError> {
        let Some(fault) = self.fault(connection) else {
            return Ok(());
        };
        self.metrics.discarded(fault, 1);
        Err(RecycleError::message(fault.as_str()))
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").finish_non_exhaustive()
    }
}

/// Error of opening a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    Postgres(#[from] Error),
    #[error("the server accepts no writes: it is a standby, or was demoted")]
    ReadOnly,
}

async fn refuse_read_only(client: &ClientWrapper) -> Result<(), OpenError> {
    let row = client.query_typed_one("SHOW transaction_read_only", &[]).await?;
    match row.try_get::<_, &str>(0)? {
        "off" => Ok(()),
        _ => Err(OpenError::ReadOnly),
    }
}

/// Lifetime of a connection, spread over the last fifth, so that connections that were opened together are not replaced together.
fn lifetime(max_age: Duration, entropy: &dyn Entropy) -> Duration {
    let fraction = f64::from(u32::from_le_bytes(entropy.bytes())) / f64::from(u32::MAX);
    max_age.mul_f64(1.0 - fraction / 5.0)
}

#[cfg(test)]
mod tests {
    use lifecycle::SeededEntropy;

    use super::*;

    #[test]
    fn lifetimes_are_spread_below_the_maximum() {
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
