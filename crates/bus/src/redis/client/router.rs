//! Commands of the bus, sent to the servers that own their keys.

mod retry;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fred::types::Value;
use lifecycle::{Clock, Dependency, Tasks};
use protocol::time::Timestamp;
use tokio::time::Instant;
use tracing::Instrument;

use self::retry::{Failed, Retry};
use super::command::{Command, by_slot};
use super::command_failure::CommandFailure;
use super::connect_error::ConnectError;
use super::connector::{Connector, Purpose};
use super::node::NodeContext;
use super::reports::ShardReports;
use super::shards::{Route, ShardMonitor, Shards};
use super::slots::slot_of;
use super::{AccessCheck, Arg, RedisReply, Script};
use crate::BusError;
use crate::metrics::Metrics;
use crate::operation::Operation;
use crate::trace;

/// Commands of the bus. Clones share the connections.
#[derive(Clone)]
pub(in crate::redis) struct Client {
    shards: Arc<Shards>,
    is_cluster: bool,
}

impl Client {
    /// Connects to all servers.
    pub(in crate::redis) async fn connect(
        connector: Connector,
        purpose: Purpose,
        clock: Arc<dyn Clock>,
        dependency: Dependency,
        metrics: Metrics,
    ) -> Result<Self, ConnectError> {
        let is_cluster = connector.is_cluster();
        let reports = ShardReports::new(dependency, metrics.clone(), purpose.name(), is_cluster);
        metrics.connection_opened(purpose.name());
        let context = NodeContext {
            connector,
            purpose,
            clock,
            metrics,
            reports: Arc::new(reports),
        };
        let shards = Arc::new(Shards::connect(context).await?);
        Ok(Self { shards, is_cluster })
    }

    /// Checks what the servers allow, before the node serves.
    pub(in crate::redis) async fn check(&self, access: AccessCheck<'_>) -> Result<(), ConnectError> {
        for node in self.shards.primaries() {
            node.check_access(&access).await?;
        }
        Ok(())
    }

    /// Follows the slot map and monitors the connections until the tasks are drained.
    pub(in crate::redis) fn monitor(&self, tasks: &Tasks) {
        let (soft, monitor) = (tasks.soft(), ShardMonitor::new(Arc::clone(&self.shards)));
        tasks.essential("redis health monitor", async move {
            // Runs until the node drains.
            soft.run_until_cancelled(monitor.run()).await;
        });
    }

    /// Runs a script on keys of one hash tag: one atomic step on their server.
    pub(in crate::redis) fn run(
        &self,
        step: &'static str,
        script: &Script,
        keys: impl IntoIterator<Item = String>,
        args: impl IntoIterator<Item = Arg>,
    ) -> impl Future<Output = Result<RedisReply, BusError>> {
        // Collected here: the arguments would be a part of the future.
        let command = Command::run(script, keys.into_iter().collect(), args);
        async move {
            let value = self.ask(step, script.operation(), command).await?;
            Ok(RedisReply::new(step, value))
        }
    }

    /// Sets a string with a TTL.
    pub(in crate::redis) async fn set(
        &self,
        step: &'static str,
        key: String,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<(), BusError> {
        let ttl = ttl.as_millis().max(1).to_string();
        let rest = [Bytes::from(value), Bytes::from_static(b"PX"), Bytes::from(ttl)];
        let command = Command::on_keys("SET", vec![key], rest.map(Value::Bytes));
        self.ask(step, Operation::Set, command).await.map(drop)
    }

    /// Reads strings; missing ones are left out.
    pub(in crate::redis) async fn get(&self, step: &'static str, keys: Vec<String>) -> Result<RedisReply, BusError> {
        let mut values = Vec::new();
        for keys in self.split(keys) {
            let command = Command::on_keys("MGET", keys, []);
            values.push(self.ask(step, Operation::MGet, command).await?);
        }
        Ok(RedisReply::new(step, Value::Array(values)))
    }

    /// Deletes keys.
    pub(in crate::redis) async fn delete(&self, step: &'static str, keys: Vec<String>) -> Result<(), BusError> {
        for keys in self.split(keys) {
            let command = Command::on_keys("DEL", keys, []);
            self.ask(step, Operation::Del, command).await?;
        }
        Ok(())
    }

    /// Reads and deletes a string (GETDEL).
    pub(in crate::redis) async fn take(&self, step: &'static str, key: String) -> Result<RedisReply, BusError> {
        let command = Command::on_keys("GETDEL", vec![key], []);
        let value = self.ask(step, Operation::GetDel, command).await?;
        Ok(RedisReply::new(step, value))
    }

    /// Publishes a probe message, to prove that its subscriber receives.
    pub(super) async fn publish_probe(&self, channel: String, probe: String) -> Result<(), BusError> {
        let probe = Value::Bytes(Bytes::from(probe));
        let command = Command::on_keys("SPUBLISH", vec![channel], [probe]);
        self.ask("publish a probe", Operation::SPublish, command)
            .await
            .map(drop)
    }

    /// Reports whether all servers have answered their last heartbeat, and in time.
    pub(in crate::redis) fn is_live(&self) -> bool {
        self.shards.is_live()
    }

    /// Returns an error if the clocks of this node and of the server of a key are too far apart.
    pub(in crate::redis) fn check_clock(&self, step: &'static str, key: &str) -> Result<(), BusError> {
        match self.shards.node_of(slot_of(key)) {
            Some(node) if node.is_skewed() => Err(CommandFailure::ClockSkew.at_step(step)),
            _ => Ok(()),
        }
    }

    /// Instant at which the clock of the server of a key shows `millis`; now for a time in the past.
    pub(in crate::redis) fn instant_of(&self, key: &str, millis: u64) -> Instant {
        if let Some(node) = self.shards.node_of(slot_of(key)) {
            return node.instant_of(millis);
        }
        let now = u64::try_from(self.server_time().as_millis()).unwrap_or_default();
        Instant::now() + Duration::from_millis(millis.saturating_sub(now))
    }

    /// Time on the clock of the server of a key, as of the last heartbeat.
    pub(in crate::redis) fn server_time_of(&self, key: &str) -> Timestamp {
        let node = self.shards.node_of(slot_of(key));
        node.map_or_else(|| self.server_time(), |node| node.server_time())
    }

    /// Time on the servers' clock, as of the last heartbeats: of several, that which is furthest ahead. Takes no lock.
    pub(in crate::redis) fn server_time(&self) -> Timestamp {
        self.shards.context().reports.server_time()
    }

    pub(in crate::redis) fn metrics(&self) -> &Metrics {
        &self.shards.context().metrics
    }

    /// Keys of one command each.
    fn split(&self, keys: Vec<String>) -> Vec<Vec<String>> {
        if self.is_cluster { by_slot(keys) } else { vec![keys] }
    }

    /// Sends a command to the server of its keys, measures it, and has a span for it within a trace.
    async fn ask(&self, step: &'static str, operation: Operation, mut command: Command<'_>) -> Result<Value, BusError> {
        let (begin, span) = (Instant::now(), trace::operation(operation));
        // Pinned here: a future that is moved into its span is copied, and the command's has some KiB.
        let sent = std::pin::pin!(self.send(operation, &mut command, begin));
        let outcome = sent.instrument(span.clone()).await;
        let error_type = outcome.as_ref().err().map(|failed| failed.failure.error_type());
        let context = self.shards.context();
        context.metrics.operation(operation, begin.elapsed(), error_type);
        outcome.map_err(|Failed { failure, server, fault }| {
            let (outage, error_type) = (failure.outage(), failure.error_type());
            let error = failure.at_step(step);
            telemetry::trace::failed(&span, error_type, &error);
            if let Some(class) = outage {
                // A command that was not sent failed for the reason of the heartbeat.
                let class = fault.unwrap_or(class);
                context.reports.command_failed(server.as_ref(), class, &error);
            }
            error
        })
    }

    /// Sends a command, and again where it was refused before it ran.
    async fn send(&self, operation: Operation, command: &mut Command<'_>, begin: Instant) -> Result<Value, Failed> {
        match self.attempt(self.shards.owner(command.slot()), command, false).await {
            Ok(value) => Ok(value),
            // Boxed, as it is rare.
            Err(failed) => Box::pin(Retry::new(self, operation, begin).run(command, failed)).await,
        }
    }

    /// Sends a command once.
    async fn attempt(&self, route: Route, command: &Command<'_>, asking: bool) -> Result<Value, Failed> {
        match route {
            Route::Node(node) => {
                let sent = node.send(command, asking).await;
                sent.map_err(|failure| Failed {
                    failure,
                    server: Some(node.server().clone()),
                    fault: node.fault(),
                })
            }
            Route::Opening => Err(Failed::without_server(CommandFailure::Opening)),
            Route::Unreachable(server) => Err(Failed {
                failure: CommandFailure::Unreachable(None),
                server: Some(server),
                fault: None,
            }),
            Route::Unowned => Err(Failed::without_server(CommandFailure::Unowned)),
        }
    }
}
