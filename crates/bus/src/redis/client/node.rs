//! Command connection to one server: bounds the commands in flight, measures them, and sends nothing while the server is unreachable.

mod health;
mod monitor;
mod server_clock;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fred::interfaces::{LuaInterface, PubsubInterface};
use fred::types::{Key, Value};
use lifecycle::{Clock, Dependency, Tasks};
use protocol::fault::chain;
use protocol::time::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use self::health::Health;
use self::monitor::HealthMonitor;
use self::server_clock::ServerClock;
use super::command_failure::CommandFailure;
use super::connect_error::ConnectError;
use super::connection::Connection;
use super::connector::{Connector, Purpose};
use super::{Arg, COMMAND_TIMEOUT, RedisReply, Script};
use crate::BusError;
use crate::metrics::Metrics;
use crate::operation::Operation;
use crate::trace;

/// Command connection to one server. Clones share it.
#[derive(Clone)]
pub(super) struct NodeClient {
    shared: Arc<NodeState>,
}

/// State that the clones share with the monitor.
struct NodeState {
    connector: Connector,
    purpose: Purpose,
    connection: Mutex<Connection>,
    health: Mutex<Health>,
    server_clock: ServerClock,
    /// One permit per command in flight. Keeps them below the length of fred's queue: when that queue refuses a command, fred
    /// 10.1 counts it as queued for ever, and then no longer flushes its writes, as more seem to follow.
    permits: Semaphore,
    /// Server, to which outages are reported.
    dependency: Dependency,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl NodeClient {
    /// Connects.
    pub(super) async fn connect(
        connector: Connector,
        purpose: Purpose,
        clock: Arc<dyn Clock>,
        dependency: Dependency,
        metrics: Metrics,
    ) -> Result<Self, ConnectError> {
        let connection = connector.connect(purpose).await?;
        let health = monitor::first_heartbeat(&connection, &*clock).await;
        let health = health.map_err(|error| connector.unreachable(error))?;
        metrics.connection_opened(purpose.name());
        let shared = Arc::new(NodeState {
            connector,
            purpose,
            connection: Mutex::new(connection),
            server_clock: ServerClock::new(&health),
            health: Mutex::new(health),
            permits: Semaphore::new(MAX_IN_FLIGHT),
            dependency,
            clock,
            metrics,
        });
        Ok(Self { shared })
    }

    /// Monitors the connection until the tasks are drained.
    pub(super) fn monitor(&self, tasks: &Tasks) {
        let (soft, monitor) = (tasks.soft(), HealthMonitor::new(Arc::clone(&self.shared)));
        tasks.essential("redis health monitor", async move {
            // Runs until the node drains.
            soft.run_until_cancelled(monitor.run()).await;
        });
    }

    /// Connector to the server.
    pub(super) fn connector(&self) -> &Connector {
        &self.shared.connector
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

    /// Time on the server's clock, as of the last heartbeat. Takes no lock.
    pub(super) fn server_time(&self) -> Timestamp {
        self.shared.server_clock.at(Instant::now())
    }

    /// Runs a script: one atomic step on the server.
    pub(super) async fn run(
        &self,
        step: &'static str,
        script: &Script,
        keys: impl IntoIterator<Item = String>,
        args: impl IntoIterator<Item = Arg>,
    ) -> Result<RedisReply, BusError> {
        let keys: Vec<Key> = keys.into_iter().map(Key::from).collect();
        let args: Vec<Value> = args.into_iter().map(Value::from).collect();
        let value = self.ask(step, script.operation(), async |fred| {
            let known = fred.evalsha(script.hash(), keys.clone(), args.clone()).await;
            match known {
                Err(error) if error.details().starts_with("NOSCRIPT") => {
                    // Boxed, as it is rare: its future would be a part of that of every command.
                    Box::pin(fred.eval(script.text().to_owned(), keys, args)).await
                }
                other => other,
            }
        });
        Ok(RedisReply::new(step, value.await?))
    }

    /// Publishes a probe message, to prove that its subscriber receives.
    pub(super) async fn publish_probe(&self, channel: String, probe: String) -> Result<(), BusError> {
        let receivers: Result<i64, BusError> = self
            .ask("publish a probe", Operation::SPublish, async |fred| {
                fred.spublish(channel, probe).await
            })
            .await;
        receivers.map(drop)
    }

    /// Runs one fred command, in bounded time and number, measures it, and has a span for it within a trace.
    pub(super) async fn ask<T>(
        &self,
        step: &'static str,
        operation: Operation,
        command: impl AsyncFnOnce(fred::clients::Client) -> Result<T, fred::error::Error>,
    ) -> Result<T, BusError> {
        let (begin, span) = (Instant::now(), trace::operation(operation));
        // Pinned here: a future that is moved into its span is copied, and the command's has some KiB.
        let command = pin!(async {
            self.shared.check_up()?;
            let _permit = self.shared.permit().await?;
            Ok(command(self.shared.fred()).await?)
        });
        let outcome: Result<T, CommandFailure> = command.instrument(span.clone()).await;
        let error_type = outcome.as_ref().err().map(CommandFailure::error_type);
        self.shared.metrics.operation(operation, begin.elapsed(), error_type);
        outcome.map_err(|failure| {
            let (outage, error_type) = (failure.outage(), failure.error_type());
            let error = failure.at_step(step);
            telemetry::trace::failed(&span, error_type, &error);
            if let Some(class) = outage {
                // A command that was not sent failed for the reason of the heartbeat.
                let class = self.shared.health().fault().unwrap_or(class);
                self.shared.dependency.failed(class, chain(&error));
            }
            error
        })
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
