//! Random faults: no client loses an event without notice, and none receives one twice.
//!
//! Faults, their sequence and the clients' pauses are drawn from a seed, which is printed; `POSTERN_CHAOS_SEED` repeats it and
//! `POSTERN_CHAOS_SECONDS` sets the duration.

mod deployment;
mod stage;

use std::time::Duration;

use testkit::chaos::SeededRng;
use testkit::{Proxy, Redis, wait};

use self::deployment::{ClusterServers, Deployment, ProxiedServer, RedisFault, SentinelServers};
use self::stage::{Faults, Stage, users};
use crate::stage::by_hand;

#[tokio::test]
async fn under_random_faults_no_event_is_lost_without_notice_or_delivered_twice() {
    let stage = on_one_server("chaos").await;
    let lasts = Duration::from_secs(by_hand("POSTERN_CHAOS_SECONDS").unwrap_or(60));
    let stage = stage.run_with_faults(&Faults::ALL, lasts).await;
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
    let mut stage = Stage::start("sentinel", SeededRng::new(seed()), redis).await;
    stage.publish_some().await;
    match by_hand("POSTERN_CHAOS_SECONDS") {
        Some(seconds) => {
            let lasts = Duration::from_secs(seconds);
            stage = stage.run_with_faults(&Faults::WITH_FAILOVERS, lasts).await;
        }
        // The silent primary returns and accepts writes, until the sentinels make it a replica.
        None => stage.inject(Faults::Redis(RedisFault::Paused)).await,
    }
    stage.publish_some().await;
    Box::pin(stage.check()).await;
}

#[tokio::test]
async fn failovers_and_moved_slots_of_a_cluster_lose_no_event_without_notice_and_deliver_none_twice() {
    let redis = Deployment::Cluster(ClusterServers::start(users()).await);
    let mut stage = Stage::start("cluster", SeededRng::new(seed()), redis).await;
    stage.publish_some().await;
    stage = match by_hand("POSTERN_CHAOS_SECONDS") {
        Some(seconds) => {
            let lasts = Duration::from_secs(seconds);
            stage.run_with_faults(&Faults::OF_CLUSTER, lasts).await
        }
        None => stage.run_each(&Faults::OF_CLUSTER[..5]).await,
    };
    stage.publish_some().await;
    Box::pin(stage.check()).await;
}

async fn on_one_server(name: &'static str) -> Stage {
    let redis = Deployment::Server(Box::new(ProxiedServer::start().await));
    Stage::start(name, SeededRng::new(seed()), redis).await
}

fn seed() -> u64 {
    by_hand("POSTERN_CHAOS_SEED").unwrap_or(20_261_124)
}
