//! Task that follows the slot map: starts a task for each new primary, and reports the state of all of them.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::Tasks;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::shard::Shard;
use super::shards::Shards;
use super::task::{Restore, ShardTask};
use super::{HEARTBEAT, MessageHandler};
use crate::redis::client::Client;
use crate::redis::client::connection::Connection;
use crate::redis::client::connector::{Connector, Purpose};
use crate::redis::client::slots::SlotMap;

/// Shards with their first connections.
pub(super) type Opened = Vec<(Arc<Shard>, Connection)>;

/// Follower of the slot map for one subscriber.
pub(super) struct MapFollower<L> {
    pub(super) shards: Arc<Shards>,
    pub(super) handler: Arc<L>,
    pub(super) connector: Connector,
    pub(super) purpose: Purpose,
    pub(super) commands: Client,
    pub(super) tasks: Tasks,
    /// Ends all tasks of the subscriber.
    pub(super) end: CancellationToken,
}

impl<L: MessageHandler> MapFollower<L> {
    /// Starts the tasks of the first map, and follows its changes until the handler is closed.
    pub(super) fn start(self, opened: Opened, map: watch::Receiver<Arc<SlotMap>>) {
        for (shard, connection) in opened {
            let task = self.task(Arc::clone(&shard), connection, Restore::Done);
            self.tasks.each("redis subscriber", async move {
                shard.end().run_until_cancelled(task.run()).await;
            });
        }
        let (tasks, end) = (self.tasks.clone(), self.end.clone());
        tasks.each("redis subscriptions", async move {
            end.run_until_cancelled(self.run(map)).await;
        });
    }

    async fn run(self, mut map: watch::Receiver<Arc<SlotMap>>) {
        let _end = self.end.clone().drop_guard();
        let closed = self.handler.closed();
        tokio::pin!(closed);
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = &mut closed => return,
                changed = map.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let current = map.borrow_and_update().clone();
                    for shard in self.shards.apply(current, &self.end) {
                        self.start_shard(shard);
                    }
                }
                _ = heartbeat.tick() => {
                    let (metrics, purpose) = (self.commands.metrics(), self.purpose.name());
                    metrics.connected(purpose, self.shards.is_complete());
                    metrics.silence(purpose, self.shards.silence());
                }
            }
        }
    }

    /// Starts the task of a primary that has received slots, whose channels were subscribed elsewhere before.
    fn start_shard(&self, shard: Arc<Shard>) {
        let this = self.clone();
        self.tasks.each("redis subscriber", async move {
            let end = shard.end().clone();
            let served = async {
                let connection = this.connect(&shard).await;
                this.commands.metrics().reconnected(this.purpose.name());
                let restore = Restore::begin(&this.connector);
                this.task(shard, connection, restore).run().await;
            };
            end.run_until_cancelled(served).await;
        });
    }

    /// Connects to a primary, however long that takes.
    async fn connect(&self, shard: &Shard) -> Connection {
        loop {
            // Boxed: fred's futures are several KiB.
            let opened = Box::pin(self.connector.open_at(shard.server().clone(), self.purpose)).await;
            match opened {
                Ok(connection) => return connection,
                Err(error) => {
                    let redis = self.connector.address_of(shard.server());
                    tracing::debug!(
                        redis,
                        error = error.to_string(),
                        "redis subscriber not connected, retrying"
                    );
                }
            }
            sleep(PAUSE).await;
        }
    }

    fn task(&self, shard: Arc<Shard>, connection: Connection, restore: Restore) -> ShardTask<L> {
        ShardTask::new(
            shard,
            Arc::clone(&self.handler),
            (self.connector.clone(), self.purpose),
            connection,
            self.commands.clone(),
            restore,
        )
    }
}

impl<L> Clone for MapFollower<L> {
    fn clone(&self) -> Self {
        Self {
            shards: Arc::clone(&self.shards),
            handler: Arc::clone(&self.handler),
            connector: self.connector.clone(),
            purpose: self.purpose,
            commands: self.commands.clone(),
            tasks: self.tasks.clone(),
            end: self.end.clone(),
        }
    }
}

/// Pause between attempts to connect.
const PAUSE: Duration = Duration::from_millis(250);
