//! Redis under a stage: one server behind a proxy, servers under sentinels, or a cluster.

mod cluster;

use std::time::Duration;

use testkit::chaos::SeededRng;
use testkit::cluster::Builder;
use testkit::{Proxy, Redis, RedisSentinel};

pub(crate) use self::cluster::ClusterServers;
use crate::audience::Loss;

/// Redis servers of a stage.
pub(crate) enum Deployment {
    Server(Box<ProxiedServer>),
    Sentinel(SentinelServers),
    Cluster(ClusterServers),
}

/// One server, to which all nodes connect through a proxy.
pub(crate) struct ProxiedServer {
    pub(crate) redis: Redis,
    link: Proxy,
    /// Primary before a failover.
    retired: Option<Redis>,
    /// Loss of every user.
    loss: Loss,
}

/// Servers under sentinels.
pub(crate) struct SentinelServers {
    redis: RedisSentinel,
    failovers: usize,
}

/// Faults of Redis.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RedisFault {
    ConnectionsKilled,
    Paused,
    /// Not with one server: a replica becomes the primary on request.
    Failover,
    /// Not with one server: the killed primary returns, empty, after its replica has taken over.
    Killed,
    /// Only in a cluster: slots in use move to other primaries and back.
    SlotsMoved,
}

impl RedisFault {
    const OF_ONE_SERVER: [Self; 2] = [Self::ConnectionsKilled, Self::Paused];
    const OF_SENTINELS: [Self; 4] = [Self::ConnectionsKilled, Self::Paused, Self::Failover, Self::Killed];
    const OF_CLUSTER: [Self; 5] = [
        Self::ConnectionsKilled,
        Self::Paused,
        Self::Failover,
        Self::Killed,
        Self::SlotsMoved,
    ];

    /// Name in the figures of a run.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ConnectionsKilled => "times Redis connections killed",
            Self::Paused => "times Redis paused",
            Self::Failover => "times Redis failed over",
            Self::Killed => "times Redis killed",
            Self::SlotsMoved => "times slots of Redis moved",
        }
    }
}

impl Deployment {
    /// Leads the nodes of a cluster to it.
    pub(crate) fn connect(&self, builder: Builder) -> Builder {
        match self {
            Self::Server(server) => builder.redis(&server.redis).redis_through(&server.link),
            Self::Sentinel(servers) => builder.redis_sentinel(&servers.redis),
            Self::Cluster(servers) => builder.redis_cluster(servers.redis()),
        }
    }

    /// The one server of a test that needs it.
    pub(crate) fn server(&mut self) -> &mut ProxiedServer {
        match self {
            Self::Server(server) => server,
            Self::Sentinel(_) | Self::Cluster(_) => panic!("the stage has several servers"),
        }
    }

    /// Faults that it can have.
    pub(crate) fn faults(&self) -> &'static [RedisFault] {
        match self {
            Self::Server(_) => &RedisFault::OF_ONE_SERVER,
            Self::Sentinel(_) => &RedisFault::OF_SENTINELS,
            Self::Cluster(_) => &RedisFault::OF_CLUSTER,
        }
    }

    /// Injects a fault, and waits until it is over.
    pub(crate) async fn inject(&mut self, fault: RedisFault, rng: &mut SeededRng) {
        match self {
            Self::Server(server) => server.inject(fault, rng).await,
            Self::Sentinel(servers) => servers.inject(fault, rng).await,
            Self::Cluster(servers) => servers.inject(fault, rng).await,
        }
    }

    /// Loss of a user by the faults so far.
    pub(crate) fn loss_of(&self, user: &str) -> Loss {
        match self {
            Self::Server(server) => server.loss,
            Self::Sentinel(servers) if servers.failovers > 0 => Loss::Writes,
            Self::Sentinel(_) => Loss::Nothing,
            Self::Cluster(servers) => servers.loss_of(user),
        }
    }

    /// Has all servers run, for the search at the end.
    pub(crate) async fn restore(&mut self) {
        match self {
            Self::Server(server) => {
                if let Some(retired) = &mut server.retired {
                    retired.restart().await;
                }
            }
            Self::Sentinel(servers) => servers.redis.until_in_sync().await,
            Self::Cluster(servers) => servers.redis().until_agreed().await,
        }
    }
}

impl ProxiedServer {
    pub(crate) async fn start() -> Self {
        let redis = Redis::start().await;
        Self {
            link: Proxy::start(redis.addr()).await,
            redis,
            retired: None,
            loss: Loss::Nothing,
        }
    }

    /// Deletes all keys.
    pub(crate) async fn flush(&mut self) {
        self.redis.command(&["FLUSHALL"]).await;
        self.loss = Loss::Writes;
    }

    /// Leads all nodes to another server that lacks writes, as after a failover.
    pub(crate) fn lead_to(&mut self, redis: Redis) {
        self.loss = Loss::Writes;
        self.link.set_upstream(redis.addr());
        self.link.cut();
        self.retired = Some(std::mem::replace(&mut self.redis, redis));
    }

    async fn inject(&mut self, fault: RedisFault, rng: &mut SeededRng) {
        match fault {
            RedisFault::ConnectionsKilled => kill_connections(&self.redis, rng).await,
            RedisFault::Paused => {
                self.redis.pause();
                rng.pause(Duration::from_secs(1)..Duration::from_secs(4)).await;
                self.redis.resume();
            }
            RedisFault::Failover | RedisFault::Killed | RedisFault::SlotsMoved => {
                panic!("{fault:?} needs several servers")
            }
        }
    }
}

impl SentinelServers {
    pub(crate) async fn start() -> Self {
        Self {
            redis: RedisSentinel::start().await,
            failovers: 0,
        }
    }

    async fn inject(&mut self, fault: RedisFault, rng: &mut SeededRng) {
        match fault {
            RedisFault::ConnectionsKilled => {
                let primary = self.redis.primary().await;
                kill_connections(self.redis.server(primary), rng).await;
            }
            RedisFault::Failover => {
                self.next_primary_to_lose().await;
                self.redis.failover().await;
            }
            RedisFault::Paused => {
                let primary = self.next_primary_to_lose().await;
                self.redis.server_mut(primary).pause();
                self.redis.until_primary_is_not(primary).await;
                rng.pause(Duration::ZERO..Duration::from_secs(2)).await;
                self.redis.server_mut(primary).resume();
            }
            RedisFault::Killed => {
                let primary = self.next_primary_to_lose().await;
                self.redis.server_mut(primary).kill().await;
                self.redis.until_primary_is_not(primary).await;
                self.redis.server_mut(primary).restart().await;
            }
            RedisFault::SlotsMoved => panic!("{fault:?} needs a cluster"),
        }
    }

    /// Waits for the end of the previous failover, as no replica could take over before; returns the primary of the next one.
    async fn next_primary_to_lose(&mut self) -> usize {
        self.redis.until_in_sync().await;
        self.failovers += 1;
        self.redis.primary().await
    }
}

async fn kill_connections(redis: &Redis, rng: &mut SeededRng) {
    let kind = ["normal", "pubsub"][rng.below(2)];
    redis.command(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]).await;
}
