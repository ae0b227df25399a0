//! Random faults: no client loses an event without notice, and none receives one twice.
//!
//! Faults, their sequence and the clients' pauses are drawn from a seed, which is printed; `POSTERN_CHAOS_SEED` repeats it and
//! `POSTERN_CHAOS_SECONDS` sets the duration.

mod stage;

use std::time::Duration;

use testkit::chaos::SeededRng;
use testkit::{Proxy, Redis, wait};

use self::stage::{Faults, Stage};
use crate::stage::by_hand;

#[tokio::test]
async fn under_random_faults_no_event_is_lost_without_notice_or_delivered_twice() {
    let stage = Stage::start("chaos", SeededRng::new(seed())).await;
    let lasts = Duration::from_secs(by_hand("POSTERN_CHAOS_SECONDS").unwrap_or(60));
    let stage = stage.run_with_faults(&Faults::ALL, lasts).await;
    Box::pin(stage.check(false)).await;
}

#[tokio::test]
async fn flushall_gives_every_client_a_fresh_start() {
    let mut stage = Stage::start("flush", SeededRng::new(seed())).await;
    stage.publish_some().await;
    stage.redis.command(&["FLUSHALL"]).await;
    stage.publish_some().await;
    Box::pin(stage.check(true)).await;
}

#[tokio::test]
async fn failover_to_a_lagging_replica_gives_every_client_a_fresh_start() {
    let mut stage = Stage::start("failover", SeededRng::new(seed())).await;
    let replica = Redis::start().await;
    let link = Proxy::start(stage.redis.addr()).await;
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
    stage.redis.kill().await;
    replica.command(&["REPLICAOF", "NO", "ONE"]).await;
    stage.lead_redis_to(replica);
    stage.publish_some().await;
    Box::pin(stage.check(true)).await;
}

fn seed() -> u64 {
    by_hand("POSTERN_CHAOS_SEED").unwrap_or(20_261_124)
}
