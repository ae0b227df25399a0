//! Metrics of a bus on Redis, as Prometheus scrapes them.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, RedisBus, RedisRuntime, RedisSettings};
use lifecycle::SystemClock;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use protocol::cluster::job::Lane::Interactive;
use testkit::{Proxy, Redis, wait};

use crate::nodes::{SHORT_WAIT, TestSubscriptions, runtime};
use crate::sample::{event, job, user, worker};

/// Bus with the registry of its metrics.
struct Metered {
    bus: Arc<dyn Bus>,
    registry: Registry,
    _provider: SdkMeterProvider,
}

impl Metered {
    async fn connect(url: &str) -> Self {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone());
        let reader = exporter.scope_info_enabled(false).build().unwrap();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let settings = RedisSettings::new(url.parse().unwrap());
        let runtime = RedisRuntime {
            meter: provider.meter("test"),
            ..runtime(Arc::new(SystemClock))
        };
        Self {
            bus: Arc::new(RedisBus::connect(&settings, &runtime).await.unwrap()),
            registry,
            _provider: provider,
        }
    }

    /// Value of the series with this name and these labels.
    fn value(&self, series: &str) -> Option<f64> {
        let text = TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map(|value| value.parse().unwrap())
    }

    async fn until(&self, series: &str, expected: f64) {
        wait::until_true(series, wait::deadline(), async || self.value(series) == Some(expected)).await;
    }
}

fn operation(part: &str, name: &str, error: &str) -> String {
    format!(
        "db_client_operation_duration_seconds_{part}{{db_operation_name=\"{name}\",db_system_name=\"redis\"{error}}}"
    )
}

#[tokio::test]
async fn delay_of_redis_shows_in_the_duration_of_each_operation() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.addr()).await;
    let metered = Metered::connect(&format!("redis://{}", proxy.addr())).await;
    // A first publish runs its script twice, as it starts the epoch in between.
    metered.bus.offsets(&[user("u")]).await.unwrap();
    proxy.delay(Duration::from_millis(400));
    metered.bus.publish(&user("u"), &event(1)).await.unwrap();
    assert_eq!(metered.value(&operation("count", "publish_event", "")), Some(1.0));
    let seconds = metered.value(&operation("sum", "publish_event", "")).unwrap();
    assert!(seconds >= 0.4, "{seconds}");
}

#[tokio::test]
async fn failed_operations_and_lost_connections_are_counted_from_zero() {
    let mut redis = Redis::start().await;
    let metered = Metered::connect(&redis.url()).await;
    let _subscriptions = TestSubscriptions::open(&*metered.bus).await;
    let failed = |name: &str| format!("postern_bus_commands_failed_total{{db_operation_name=\"{name}\"}}");
    for name in ["publish_event", "submit_job", "SET", "XREADGROUP"] {
        assert_eq!(metered.value(&failed(name)), Some(0.0), "{name}");
    }
    for redis in ["commands", "events"] {
        let reconnects = format!("postern_bus_reconnects_total{{redis=\"{redis}\"}}");
        assert_eq!(metered.value(&reconnects), Some(0.0));
        metered
            .until(&format!("postern_bus_connected{{redis=\"{redis}\"}}"), 1.0)
            .await;
    }

    redis.kill().await;
    metered.until("postern_bus_connected{redis=\"commands\"}", 0.0).await;
    metered.until("postern_bus_connected{redis=\"events\"}", 0.0).await;
    metered.bus.publish(&user("u"), &event(1)).await.unwrap_err();
    let unreachable = operation("count", "publish_event", ",error_type=\"unreachable\"");
    assert_eq!(metered.value(&unreachable), Some(1.0));
    assert_eq!(metered.value(&failed("publish_event")), Some(1.0));

    redis.restart().await;
    metered.until("postern_bus_connected{redis=\"commands\"}", 1.0).await;
    metered.until("postern_bus_connected{redis=\"events\"}", 1.0).await;
}

#[tokio::test]
async fn check_of_a_lane_reports_unclaimed_jobs_their_age_and_dead_letters() {
    let redis = Redis::start().await;
    let metered = Metered::connect(&redis.url()).await;
    let of_lane = |name: &str| metered.value(&format!("postern_bus_{name}{{lane=\"interactive\"}}"));
    assert_eq!(of_lane("lane_depth"), None, "no check so far");
    let bus = &*metered.bus;
    bus.is_served(Interactive).await.unwrap();
    assert_eq!(of_lane("lane_depth"), Some(0.0));
    assert_eq!(of_lane("lane_oldest_age_seconds"), Some(0.0));
    assert_eq!(of_lane("buried_jobs"), Some(0.0));

    for id in ["j-1", "j-2", "j-3"] {
        bus.submit(Interactive, &job(id, 1), PATIENCE).await.unwrap();
    }
    let claimed = bus
        .claim(Interactive, &worker("w-1"), 1, wait::deadline())
        .await
        .unwrap();
    assert_eq!(claimed.len(), 1);
    redis
        .command(&["XADD", "pn:{jobs:interactive}:dead", "*", "id", "j-0"])
        .await;
    wait::until_true("the age of the jobs", wait::deadline(), async || {
        bus.is_served(Interactive).await.unwrap();
        of_lane("lane_oldest_age_seconds") >= Some(0.1)
    })
    .await;
    assert_eq!(of_lane("lane_depth"), Some(2.0), "the claimed job does not wait");
    assert_eq!(of_lane("buried_jobs"), Some(1.0));
}

#[tokio::test]
async fn queue_time_covers_jobs_past_their_deadline_and_no_job_twice() {
    let redis = Redis::start().await;
    let metered = Metered::connect(&redis.url()).await;
    let bus = &*metered.bus;
    bus.submit(Interactive, &job("j-1", 1), Duration::from_millis(1))
        .await
        .unwrap();
    bus.submit(Interactive, &job("j-2", 1), PATIENCE).await.unwrap();
    wait::until_true("the deadline", wait::deadline(), async || {
        bus.is_served(Interactive).await.unwrap();
        metered.value("postern_bus_lane_oldest_age_seconds{lane=\"interactive\"}") >= Some(0.2)
    })
    .await;
    let first = bus
        .claim(Interactive, &worker("w-1"), 2, wait::deadline())
        .await
        .unwrap();
    assert_eq!(first.len(), 1, "the other is past its deadline");
    // The claim of a worker that does not renew it expires.
    wait::until_true("another claim", wait::deadline(), async || {
        let second = bus.claim(Interactive, &worker("w-2"), 2, SHORT_WAIT).await.unwrap();
        second.iter().any(|claimed| claimed.entry == first[0].entry)
    })
    .await;
    let queue_time = |part: &str| {
        metered.value(&format!(
            "postern_bus_job_queue_time_seconds_{part}{{lane=\"interactive\"}}"
        ))
    };
    assert_eq!(queue_time("count"), Some(2.0));
    let seconds = queue_time("sum").unwrap();
    assert!(seconds >= 0.2, "{seconds}");
}

const PATIENCE: Duration = Duration::from_secs(60);
