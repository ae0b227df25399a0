//! Random faults: no client loses an event without notice, and none receives one twice.
//!
//! Faults, their sequence and the clients' pauses are drawn from a seed, which is printed; `POSTERN_CHAOS_SEED` repeats it and
//! `POSTERN_CHAOS_SECONDS` sets the duration.

pub(crate) mod deployment;
pub(crate) mod stage;

use std::time::Duration;

use testkit::chaos::SeededRng;
use testkit::{Proxy, Redis, wait};

use self::deployment::{ClusterServers, Deployment, ProxiedServer, SentinelServers};
use self::stage::{Stage, users};
use crate::stage::by_hand;

#[tokio::test]
async fn under_random_faults_no_event_is_lost_without_notice_or_delivered_twice() {
    let stage = on_one_server("chaos").await;
    let lasts = Duration::from_secs(by_hand("POSTERN_CHAOS_SECONDS").unwrap_or(60));
    let stage = stage.run_with_faults(lasts).await;
    Box::pin(stage.check()).await;
}

#[tokio::test]
async fn flushall_gives_every_client_a_fresh_start() {
    let mut stage = on_one_server("flush").await;
    stage.publish_some().await;
    stage.redis.server().flush().await;
    stage.publish_some().await;
    Box::pin(stage.check()).await;
}

#[tokio::test]
async fn failover_to_a_lagging_replica_gives_every_client_a_fresh_start() {
    let mut stage = on_one_server("failover").await;
    let replica = Redis::start().await;
    let link = Proxy::start(stage.redis.server().redis.addr()).await;
    let (host, port) = (link.addr().ip().to_string(), link.addr().port().to_string());
    replica.command(&["REPLICAOF", &host, &port]).await;
    wait::until_true("the replica to follow", wait::deadline(), async || {
        replica
            .command(&["INFO", "replication"])
            .await
            .contains("master_link_status:up")
    })
    .await;
    stage.publish_some().await;
    // From here on the replica misses all writes.
    link.freeze();
    stage.publish_some().await;
    stage.redis.server().redis.kill().await;
    replica.command(&["REPLICAOF", "NO", "ONE"]).await;
    stage.redis.server().lead_to(replica);
    stage.publish_some().await;
    Box::pin(stage.check()).await;
}

#[tokio::test]
async fn failovers_of_sentinels_give_every_client_a_fresh_start() {
    let redis = Deployment::Sentinel(SentinelServers::start().await);
    Box::pin(run_on("sentinel", redis)).await;
}

#[tokio::test]
async fn failovers_and_moved_slots_of_a_cluster_lose_no_event_without_notice_and_deliver_none_twice() {
    let redis = Deployment::Cluster(ClusterServers::start(users()).await);
    Box::pin(run_on("cluster", redis)).await;
}

/// Injects each fault of several servers once, or, by hand, faults of all kinds for a time.
async fn run_on(name: &'static str, redis: Deployment) {
    let mut stage = Stage::start(name, SeededRng::new(seed()), redis).await;
    stage.publish_some().await;
    stage = match by_hand("POSTERN_CHAOS_SECONDS") {
        Some(seconds) => stage.run_with_faults(Duration::from_secs(seconds)).await,
        None => stage.run_with_each_fault_of_redis().await,
    };
    stage.publish_some().await;
    Box::pin(stage.check()).await;
}

async fn on_one_server(name: &'static str) -> Stage {
    let redis = Deployment::Server(Box::new(ProxiedServer::start().await));
    Stage::start(name, SeededRng::new(seed()), redis).await
}

pub(crate) fn seed() -> u64 {
    by_hand("POSTERN_CHAOS_SEED").unwrap_or(20_261_124)
}
