//! Node with a wrong clock.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, BusError, RedisBus, RedisSettings};
use lifecycle::{Clock, ManualClock, SystemClock};
use protocol::cluster::job::Lane::Interactive;
use testkit::{Redis, wait};

use crate::nodes::{SHORT_WAIT, runtime};
use crate::sample::{job, worker};

#[tokio::test]
async fn node_with_a_wrong_clock_claims_no_jobs() {
    let redis = Redis::shared().await;
    let hour = Duration::from_secs(3_600);
    for wrong in [SystemClock.now() + hour, SystemClock.now() - hour] {
        let clock = Arc::new(ManualClock::new(wrong));
        let prefix = redis.prefix();
        let skewed = connect(redis, &prefix, Arc::clone(&clock)).await;
        let right = crate::nodes::connect(&redis.url(), &prefix).await;
        assert!(!skewed.is_live(), "a node with a wrong clock is not live");
        right
            .submit(Interactive, &job("j-1", 1), Duration::from_secs(60))
            .await
            .unwrap();
        let refused = skewed.claim(Interactive, &worker("w-1"), 1, SHORT_WAIT).await;
        assert!(matches!(refused, Err(BusError::Unavailable { .. })), "{refused:?}");
        let claimed = right.claim(Interactive, &worker("w-2"), 1, wait::deadline()).await;
        assert_eq!(claimed.unwrap().len(), 1, "another node claims the job");

        wait::until_true("the corrected clock to be noticed", wait::deadline(), async || {
            clock.set(SystemClock.now());
            skewed.is_live()
        })
        .await;
        right
            .submit(Interactive, &job("j-2", 1), Duration::from_secs(60))
            .await
            .unwrap();
        let claimed = skewed.claim(Interactive, &worker("w-1"), 1, wait::deadline()).await;
        assert_eq!(claimed.unwrap().len(), 1);
    }
}

async fn connect(redis: &Redis, prefix: &str, clock: Arc<ManualClock>) -> Arc<dyn Bus> {
    let settings = RedisSettings {
        prefix: prefix.parse().unwrap(),
        ..RedisSettings::new(redis.url().parse().unwrap())
    };
    let bus = RedisBus::connect(&settings, &runtime(clock)).await;
    Arc::new(bus.unwrap())
}
