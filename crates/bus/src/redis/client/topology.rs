//! Servers of a bus: one server, the primary that sentinels name, or the nodes of a cluster.

mod cluster;
mod sentinel;

use lifecycle::{Dependencies, Tasks};

pub(super) use self::cluster::ClusterError;
pub(super) use self::sentinel::SentinelError;

use self::cluster::ClusterWatch;
use self::sentinel::SentinelWatch;
use super::connect_error::ConnectError;
use super::connector::Connector;

/// Watch of the servers of one connector.
pub(in crate::redis) struct Topology {
    /// None for one server, which does not change.
    watch: Option<Watch>,
}

/// Watch of those who know the servers.
enum Watch {
    Sentinels(Box<SentinelWatch>),
    Cluster(Box<ClusterWatch>),
}

impl Topology {
    /// Finds the servers of a connector. `redis` is the name of the dependency whose outages are those of the servers; those of its
    /// sentinels or of all nodes of its cluster are reported under a longer one.
    ///
    /// # Errors
    /// [`ConnectError::NoPrimary`] if no sentinel names a server that is a primary, or no node those that own slots.
    pub(in crate::redis) async fn discover(
        connector: &Connector,
        dependencies: &Dependencies,
        redis: &'static str,
    ) -> Result<Self, ConnectError> {
        let is_limits = redis == "redis_limits";
        let watch = if let Some(sentinels) = connector.sentinels() {
            let name = if is_limits {
                "redis_limits_sentinel"
            } else {
                "redis_sentinel"
            };
            let watch = SentinelWatch::start(connector, sentinels, dependencies.named(name)).await?;
            Some(Watch::Sentinels(Box::new(watch)))
        } else if let Some(seeds) = connector.seeds() {
            let name = if is_limits {
                "redis_limits_cluster"
            } else {
                "redis_cluster"
            };
            let watch = ClusterWatch::start(connector, seeds, dependencies.named(name)).await?;
            Some(Watch::Cluster(Box::new(watch)))
        } else {
            None
        };
        Ok(Self { watch })
    }

    /// Follows changes until the tasks are drained.
    pub(in crate::redis) fn follow(self, tasks: &Tasks) {
        let soft = tasks.soft();
        // Both run until the node drains.
        match self.watch {
            None => {}
            Some(Watch::Sentinels(sentinels)) => tasks.essential("redis sentinel watch", async move {
                soft.run_until_cancelled(sentinels.run()).await;
            }),
            Some(Watch::Cluster(cluster)) => tasks.essential("redis cluster watch", async move {
                soft.run_until_cancelled(cluster.run()).await;
            }),
        }
    }
}
