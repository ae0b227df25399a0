//! Limiter of commands: two buckets of a user, in memory and in a real Redis, its round trip included.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails, and says where")]

use std::sync::Arc;
use std::time::Duration;

use bus::{Bucket, Bus, Charge, MemoryBus, Quota, RedisBus, RedisRuntime, RedisSettings};
use criterion::Criterion;
use lifecycle::{Dependencies, OsEntropy, SystemClock, Tasks};
use opentelemetry::metrics::{MeterProvider, NoopMeterProvider};
use protocol::id::UserId;
use testkit::Redis;
use tokio::runtime::Runtime;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = Runtime::new().unwrap();
    let redis = runtime.block_on(Redis::start());
    let memory = MemoryBus::new(Arc::new(OsEntropy));
    let redis_bus = runtime.block_on(connect(&redis));
    let (user, charges) = (UserId::new("GEN-001").unwrap(), ["commands", "sync"].map(charge));
    let mut group = criterion.benchmark_group("charge two buckets");
    let buses: [(&str, &dyn Bus); 2] = [("memory", &memory), ("Redis", &redis_bus)];
    for (name, bus) in buses {
        group.bench_function(name, |b| {
            b.iter(|| runtime.block_on(bus.admit_all(&user, &charges)).unwrap());
        });
    }
    group.finish();
    criterion.final_summary();
}

fn charge(name: &'static str) -> Charge {
    Charge {
        bucket: Bucket { name, scope: None },
        quota: Quota {
            count: 1_000_000,
            period: Duration::from_secs(1),
        },
        cost: 1,
    }
}

async fn connect(redis: &Redis) -> RedisBus {
    let settings = RedisSettings::new(redis.url().parse().unwrap());
    let runtime = RedisRuntime {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        tasks: Tasks::new(),
        meter: NoopMeterProvider::new().meter("bench"),
        dependencies: Dependencies::new(Arc::new(SystemClock)),
    };
    RedisBus::connect(&settings, &runtime).await.unwrap()
}
