//! Commands of the bus, sent to the server that owns their keys.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fred::interfaces::KeysInterface;
use fred::types::{Expiration, Value};
use lifecycle::{Clock, Dependency, Tasks};
use protocol::time::Timestamp;
use tokio::time::Instant;

use super::command_failure::CommandFailure;
use super::connect_error::ConnectError;
use super::connector::{Connector, Purpose};
use super::node::NodeClient;
use super::{AccessCheck, Arg, RedisReply, Script};
use crate::BusError;
use crate::metrics::Metrics;
use crate::operation::Operation;

/// Commands of the bus. Clones share the connections.
#[derive(Clone)]
pub(in crate::redis) struct Client {
    /// Server that owns every key.
    node: NodeClient,
    metrics: Metrics,
}

impl Client {
    /// Connects.
    pub(in crate::redis) async fn connect(
        connector: Connector,
        purpose: Purpose,
        clock: Arc<dyn Clock>,
        dependency: Dependency,
        metrics: Metrics,
    ) -> Result<Self, ConnectError> {
        let node = NodeClient::connect(connector, purpose, clock, dependency, metrics.clone()).await?;
        Ok(Self { node, metrics })
    }

    /// Checks what the server allows, before the node serves.
    pub(in crate::redis) async fn check(&self, access: AccessCheck<'_>) -> Result<(), ConnectError> {
        self.node.check_access(access).await
    }

    /// Monitors the connections until the tasks are drained.
    pub(in crate::redis) fn monitor(&self, tasks: &Tasks) {
        self.node.monitor(tasks);
    }

    /// Runs a script: one atomic step on the server.
    pub(in crate::redis) fn run(
        &self,
        step: &'static str,
        script: &Script,
        keys: impl IntoIterator<Item = String>,
        args: impl IntoIterator<Item = Arg>,
    ) -> impl Future<Output = Result<RedisReply, BusError>> {
        self.node.run(step, script, keys, args)
    }

    /// Sets a string with a TTL.
    pub(in crate::redis) async fn set(
        &self,
        step: &'static str,
        key: String,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<(), BusError> {
        let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX).max(1);
        let life = Some(Expiration::PX(ttl));
        self.node
            .ask(step, Operation::Set, async |fred| {
                fred.set(key, Value::Bytes(Bytes::from(value)), life, None, false).await
            })
            .await
    }

    /// Reads strings; missing ones are left out.
    pub(in crate::redis) async fn get(&self, step: &'static str, keys: Vec<String>) -> Result<RedisReply, BusError> {
        let value = self
            .node
            .ask(step, Operation::MGet, async |fred| fred.mget(keys).await)
            .await?;
        Ok(RedisReply::new(step, value))
    }

    /// Deletes keys.
    pub(in crate::redis) async fn delete(&self, step: &'static str, keys: Vec<String>) -> Result<(), BusError> {
        self.node
            .ask(step, Operation::Del, async |fred| fred.del::<Value, _>(keys).await)
            .await
            .map(drop)
    }

    /// Reads and deletes a string (GETDEL).
    pub(in crate::redis) async fn take(&self, step: &'static str, key: String) -> Result<RedisReply, BusError> {
        let value = self
            .node
            .ask(step, Operation::GetDel, async |fred| fred.getdel(key).await)
            .await?;
        Ok(RedisReply::new(step, value))
    }

    /// Reports whether the last heartbeat was answered, and in time.
    pub(in crate::redis) fn is_live(&self) -> bool {
        self.node.is_live()
    }

    /// Returns an error if the clocks of this node and the server are too far apart.
    pub(in crate::redis) fn check_clock(&self, step: &'static str) -> Result<(), BusError> {
        if self.node.is_skewed() {
            return Err(CommandFailure::ClockSkew.at_step(step));
        }
        Ok(())
    }

    /// Instant at which the server's clock shows `millis`; now for a time in the past.
    pub(in crate::redis) fn instant_of(&self, millis: u64) -> Instant {
        self.node.instant_of(millis)
    }

    /// Time on the server's clock, as of the last heartbeat. Takes no lock.
    pub(in crate::redis) fn server_time(&self) -> Timestamp {
        self.node.server_time()
    }

    /// Publishes a probe message, to prove that its subscriber receives.
    pub(super) async fn publish_probe(&self, channel: String, probe: String) -> Result<(), BusError> {
        self.node.publish_probe(channel, probe).await
    }

    pub(in crate::redis) fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}
