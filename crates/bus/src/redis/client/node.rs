//! Command connection to one server: bounds the commands in flight, measures them, and sends nothing while the server is unreachable.

mod monitor;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fred::types::Value;
use lifecycle::Clock;
use protocol::time::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use self::monitor::HealthMonitor;
use super::COMMAND_TIMEOUT;
use super::command::Command;
use super::command_failure::CommandFailure;
use super::connect_error::ConnectError;
use super::connection::Connection;
use super::connector::{Connector, Purpose};
use super::health::Health;
use super::reports::ShardReports;
use crate::BusError;
use crate::metrics::Metrics;
use crate::operation::Operation;
use crate::redis::settings::Endpoint;

/// Command connection to one server. Clones share it.
#[derive(Clone)]
pub(super) struct NodeClient {
    shared: Arc<NodeState>,
}

/// Surroundings that the connections to all servers share.
#[derive(Clone)]
pub(super) struct NodeContext {
    pub(super) connector: Connector,
    pub(super) purpose: Purpose,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Metrics,
    pub(super) reports: Arc<ShardReports>,
}

/// State that the clones share with the monitor.
struct NodeState {
    context: NodeContext,
    server: Endpoint,
    connection: Mutex<Connection>,
    health: Mutex<Health>,
    /// One permit per command in flight. Keeps them below the length of fred's queue: when that queue refuses a command, fred
    /// 10.1 counts it as queued for ever, and then no longer flushes its writes, as more seem to follow.
    permits: Semaphore,
}

impl NodeContext {
    /// Counts a connection that was replaced or reconnected.
    fn reconnected(&self) {
        self.metrics.reconnected(self.purpose.name());
    }
}

impl NodeClient {
    /// Connects.
    pub(super) async fn connect(context: NodeContext, server: Endpoint) -> Result<Self, ConnectError> {
        let connection = context.connector.connect(server.clone(), context.purpose).await?;
        let health = monitor::heartbeat(connection.client().clone(), &*context.clock).await;
        let health = health.map_err(|error| context.connector.unreachable(&server, error))?;
        context.reports.connected(&server, &health);
        let shared = Arc::new(NodeState {
            context,
            server,
            connection: Mutex::new(connection),
            health: Mutex::new(health),
            permits: Semaphore::new(MAX_IN_FLIGHT),
        });
        Ok(Self { shared })
    }

    /// Monitors the connection for ever.
    pub(super) async fn monitor(&self) {
        HealthMonitor::new(Arc::clone(&self.shared)).run().await;
    }

    /// Connector to the server.
    pub(super) fn connector(&self) -> &Connector {
        &self.shared.context.connector
    }

    /// Server of the connection.
    pub(super) fn server(&self) -> &Endpoint {
        &self.shared.server
    }

    /// Class of the failure of the last heartbeat; none if it was answered.
    pub(super) fn fault(&self) -> Option<&'static str> {
        self.shared.health().fault()
    }

    /// Reports whether the last heartbeat was answered, and in time.
    pub(super) fn is_live(&self) -> bool {
        self.shared.health().is_live(Instant::now())
    }

    /// Reports whether the clocks of this node and the server are too far apart.
    pub(super) fn is_skewed(&self) -> bool {
        self.shared.health().is_skewed()
    }

    /// Instant at which the server's clock shows `millis`; now for a time in the past.
    pub(super) fn instant_of(&self, millis: u64) -> Instant {
        self.shared.health().instant_of(millis, Instant::now())
    }

    /// Time on the server's clock, as of the last heartbeat.
    pub(super) fn server_time(&self) -> Timestamp {
        self.shared.health().server_time(Instant::now())
    }

    /// Sends a command, in bounded time and number. `asking` says that the server receives the slot at present.
    pub(super) async fn send(&self, command: &Command<'_>, asking: bool) -> Result<Value, CommandFailure> {
        self.shared.check_up()?;
        let _permit = self.shared.permit().await?;
        let fred = self.shared.fred();
        if asking {
            // Boxed, as it is rare: its future would be a part of that of every command.
            return Ok(Box::pin(command.send_asking(&fred)).await?);
        }
        Ok(command.send(&fred).await?)
    }

    /// Runs one fred command that is for this server, in bounded time and number, and measures it.
    pub(super) async fn ask<T>(
        &self,
        step: &'static str,
        operation: Operation,
        command: impl AsyncFnOnce(fred::clients::Client) -> Result<T, fred::error::Error>,
    ) -> Result<T, BusError> {
        let begin = Instant::now();
        let outcome: Result<T, CommandFailure> = async {
            self.shared.check_up()?;
            let _permit = self.shared.permit().await?;
            Ok(command(self.shared.fred()).await?)
        }
        .await;
        let error_type = outcome.as_ref().err().map(CommandFailure::error_type);
        let metrics = &self.shared.context.metrics;
        metrics.operation(operation, begin.elapsed(), error_type);
        outcome.map_err(|failure| failure.at_step(step))
    }
}

impl NodeState {
    fn fred(&self) -> fred::clients::Client {
        self.connection().client().clone()
    }

    /// Takes the permit of a command. Waits only while all are taken: a timer for each command would cost more than the permit.
    async fn permit(&self) -> Result<SemaphorePermit<'_>, CommandFailure> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        let permit = timeout(COMMAND_TIMEOUT, self.permits.acquire()).await;
        permit.ok().and_then(Result::ok).ok_or(CommandFailure::TooManyCommands)
    }

    /// Returns an error while the server is unreachable: nothing is sent then.
    fn check_up(&self) -> Result<(), CommandFailure> {
        let health = self.health();
        if health.is_up() {
            return Ok(());
        }
        Err(CommandFailure::Unreachable(health.refusal()))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bound of the commands in flight. Those whose callers gave up stay in fred's queue until it is connected again; as commands are
/// refused from the first missed heartbeat on, at most two such generations meet a queue of [`super::connector::QUEUE`].
const MAX_IN_FLIGHT: usize = 4096;
