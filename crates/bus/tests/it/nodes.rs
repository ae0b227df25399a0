//! Buses and subscriptions of test nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bus::{
    Bus, ChannelMessage, ChannelMessages, ConnectError, MemoryBus, RedisBus, RedisRuntime, RedisSettings,
    UserSubscriptions,
};
use lifecycle::{Clock, Dependencies, OsEntropy, SystemClock, Tasks};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use protocol::cluster::offset::Offset;
use testkit::tls::Authority;
use testkit::{Redis, RedisCluster, wait};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::permissions::documented_rules;
use crate::tls::tls;
use crate::tls_redis::{ServerTls, TlsRedis};

/// In-memory bus: a cluster of one process.
pub(crate) fn in_memory() -> Arc<dyn Bus> {
    Arc::new(MemoryBus::new(Arc::new(OsEntropy)))
}

/// Bus on the Redis that all tests share, under a prefix of its own.
pub(crate) async fn on_shared_redis() -> Arc<dyn Bus> {
    let redis = Redis::shared().await;
    connect(&redis.url(), &redis.prefix()).await
}

/// Bus on a Redis that all tests share, by TLS with a private authority and a client certificate, and with the documented permissions.
pub(crate) async fn on_protected_redis() -> Arc<dyn Bus> {
    // Never dropped: its supervisor ends it.
    static SHARED: OnceCell<(TlsRedis, Authority)> = OnceCell::const_new();
    static PREFIXES: AtomicU64 = AtomicU64::new(0);
    let start = async || {
        let authority = Authority::new();
        let server = TlsRedis::start(&ServerTls::new(&authority, &authority), &documented_user()).await;
        (server, authority)
    };
    let (server, authority) = SHARED.get_or_init(start).await;
    let url = format!("rediss://{USER}:{PASSWORD}@localhost:{}", server.port());
    let prefix = format!("t{}", PREFIXES.fetch_add(1, Ordering::Relaxed));
    connect_by_tls(&url, &prefix, authority).await
}

/// Bus on [`protected_cluster`].
pub(crate) async fn on_protected_cluster() -> Arc<dyn Bus> {
    let prefix = protected_cluster().await.0.prefix();
    connect_to_protected_cluster(&prefix).await
}

/// Bus on [`protected_cluster`] with this prefix of its.
pub(crate) async fn connect_to_protected_cluster(prefix: &str) -> Arc<dyn Bus> {
    let (cluster, authority) = protected_cluster().await;
    connect_by_tls(&cluster.tls_url(USER, PASSWORD), prefix, authority).await
}

/// Redis Cluster that all tests share, with the protections of [`on_protected_redis`], and its authority.
pub(crate) async fn protected_cluster() -> &'static (RedisCluster, Authority) {
    // Never dropped: its supervisors end it.
    static SHARED: OnceCell<(RedisCluster, Authority)> = OnceCell::const_new();
    let start = async || {
        let (authority, user) = (Authority::new(), documented_user());
        let user: Vec<&str> = user.iter().map(String::as_str).collect();
        let cluster = RedisCluster::start_with_tls(&authority, &user).await;
        (cluster, authority)
    };
    SHARED.get_or_init(start).await
}

/// Arguments of a server with a user who has the documented permissions.
fn documented_user() -> Vec<String> {
    let rules = documented_rules().replace("pn:*", "t*:*");
    let password = format!(">{PASSWORD}");
    let user = ["--user", USER, "on", &password].into_iter().chain(rules.split(' '));
    user.map(str::to_owned).collect()
}

async fn connect_by_tls(url: &str, prefix: &str, authority: &Authority) -> Arc<dyn Bus> {
    let settings = RedisSettings {
        prefix: prefix.parse().unwrap(),
        tls: tls(authority, authority),
        ..RedisSettings::new(url.parse().unwrap())
    };
    connect_as(&settings).await.unwrap()
}

/// Bus on a Redis.
pub(crate) async fn connect(url: &str, prefix: &str) -> Arc<dyn Bus> {
    let settings = RedisSettings {
        prefix: prefix.parse().unwrap(),
        ..RedisSettings::new(url.parse().unwrap())
    };
    connect_as(&settings).await.unwrap()
}

/// Bus with these settings. Its tasks end with the runtime of the test.
pub(crate) async fn connect_as(settings: &RedisSettings) -> Result<Arc<dyn Bus>, ConnectError> {
    let bus = RedisBus::connect(settings, &runtime(Arc::new(SystemClock))).await?;
    Ok(Arc::new(bus))
}

/// Runtime of a test node with this time of day.
pub(crate) fn runtime(clock: Arc<dyn Clock>) -> RedisRuntime {
    RedisRuntime {
        dependencies: Dependencies::new(Arc::clone(&clock)),
        clock,
        entropy: Arc::new(OsEntropy),
        tasks: Tasks::new(),
        meter: SdkMeterProvider::default().meter("test"),
    }
}

/// Subscriptions of a test node with their messages.
pub(crate) struct TestSubscriptions {
    pub(crate) handle: Arc<dyn UserSubscriptions>,
    messages: ChannelMessages,
}

impl TestSubscriptions {
    pub(crate) async fn open(bus: &dyn Bus) -> Self {
        let (handle, messages) = bus.listen().await.unwrap();
        Self { handle, messages }
    }

    /// Receives the next message.
    pub(crate) async fn next(&mut self) -> ChannelMessage {
        let message = timeout(wait::deadline(), self.messages.recv()).await;
        message.expect("no message in time").expect("subscriptions closed")
    }

    /// Receives the next event and returns its seq; fails on `Missed`.
    pub(crate) async fn next_seq(&mut self) -> u64 {
        match self.next().await {
            ChannelMessage::Event { offset, .. } => offset.seq,
            other => panic!("{other:?} instead of an event"),
        }
    }

    /// Waits for a `Missed`, skipping events.
    pub(crate) async fn missed(&mut self) {
        while self.next().await != ChannelMessage::Missed {}
    }

    /// Waits for the event at this offset, skipping other messages.
    pub(crate) async fn until(&mut self, expected: &Offset) {
        loop {
            if let ChannelMessage::Event { offset, .. } = self.next().await
                && offset == *expected
            {
                return;
            }
        }
    }

    /// Reports whether the event at this offset arrives before a `Missed`.
    pub(crate) async fn receives_before_missed(&mut self, expected: &Offset) -> bool {
        loop {
            match self.next().await {
                ChannelMessage::Event { offset, .. } if offset == *expected => return true,
                ChannelMessage::Missed | ChannelMessage::MissedOf(_) => return false,
                ChannelMessage::Event { .. } | ChannelMessage::Redeemed { .. } => {}
            }
        }
    }

    /// Receives a queued message, without waiting.
    pub(crate) fn try_next(&mut self) -> Option<ChannelMessage> {
        self.messages.try_recv()
    }
}

/// Waits until the bus and the subscriptions are live, or until neither is.
pub(crate) async fn until_live(bus: &dyn Bus, subscriptions: &TestSubscriptions, live: bool) {
    let what = if live {
        "bus and subscriptions to be live"
    } else {
        "bus and subscriptions not to be live"
    };
    wait::until_true(what, wait::deadline(), async || {
        bus.is_live() == live && subscriptions.handle.is_live() == live
    })
    .await;
}

const USER: &str = "gate";
const PASSWORD: &str = "hunter2";

/// Wait of a claim that should find nothing.
pub(crate) const SHORT_WAIT: Duration = Duration::from_millis(20);
