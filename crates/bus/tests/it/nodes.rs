//! Buses for tests, as nodes have them.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, ChannelMessage, ConnectError, MemoryBus, RedisBus, RedisSettings, UserSubscriptions};
use lifecycle::{OsEntropy, SystemClock, Tasks};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use protocol::cluster::offset::Offset;
use testkit::{Redis, wait};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A cluster of one process.
pub(crate) fn in_memory() -> Arc<dyn Bus> {
    Arc::new(MemoryBus::new(Arc::new(OsEntropy)))
}

/// A node on the Redis that all tests share, under a prefix of its own.
pub(crate) async fn on_shared_redis() -> Arc<dyn Bus> {
    let redis = Redis::shared().await;
    connect(&redis.url(), &redis.prefix()).await
}

/// A node on a Redis.
pub(crate) async fn connect(url: &str, prefix: &str) -> Arc<dyn Bus> {
    let settings = RedisSettings {
        url: url.parse().unwrap(),
        prefix: prefix.parse().unwrap(),
        limits_url: None,
        ca: None,
    };
    connect_as(&settings).await.unwrap()
}

/// A node with all its settings. Its tasks end with the runtime of the test.
pub(crate) async fn connect_as(settings: &RedisSettings) -> Result<Arc<dyn Bus>, ConnectError> {
    let meter = SdkMeterProvider::default().meter("test");
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    let bus = RedisBus::connect(settings, clock, entropy, Tasks::new(), &meter).await?;
    Ok(Arc::new(bus))
}

/// What a node hears, and its subscriptions.
pub(crate) struct Ear {
    pub(crate) feed: Arc<dyn UserSubscriptions>,
    heard: mpsc::Receiver<ChannelMessage>,
}

impl Ear {
    pub(crate) async fn open(bus: &dyn Bus) -> Self {
        let (feed, heard) = bus.listen().await.unwrap();
        Self { feed, heard }
    }

    /// The next thing heard.
    pub(crate) async fn next(&mut self) -> ChannelMessage {
        let heard = timeout(wait::deadline(), self.heard.recv()).await;
        heard.expect("something is heard in time").expect("the ear is open")
    }

    /// The place of the next event heard; fails on `Missed`.
    pub(crate) async fn next_seq(&mut self) -> u64 {
        match self.next().await {
            ChannelMessage::Event { offset, .. } => offset.seq,
            other => panic!("{other:?} instead of an event"),
        }
    }

    /// Waits for a `Missed`, however many events come before it.
    pub(crate) async fn missed(&mut self) {
        while self.next().await != ChannelMessage::Missed {}
    }

    /// Waits for an event at this place, whatever comes before it.
    pub(crate) async fn until(&mut self, place: &Offset) {
        loop {
            if let ChannelMessage::Event { offset, .. } = self.next().await
                && offset == *place
            {
                return;
            }
        }
    }

    /// Whether an event at this place is heard before something is missed.
    pub(crate) async fn hears(&mut self, place: &Offset) -> bool {
        loop {
            match self.next().await {
                ChannelMessage::Event { offset, .. } if offset == *place => return true,
                ChannelMessage::Missed => return false,
                ChannelMessage::Event { .. } | ChannelMessage::Redeemed { .. } => {}
            }
        }
    }

    /// What is there now, without waiting.
    pub(crate) fn try_next(&mut self) -> Option<ChannelMessage> {
        self.heard.try_recv().ok()
    }
}

/// Waits until the bus and its ear say that they live, or that they do not.
pub(crate) async fn until_live(bus: &dyn Bus, ear: &Ear, live: bool) {
    let what = if live {
        "the bus to live"
    } else {
        "the loss to be noticed"
    };
    wait::until_true(what, wait::deadline(), async || {
        bus.is_live() == live && ear.feed.is_live() == live
    })
    .await;
}

/// A wait that is over before anyone would notice.
pub(crate) const MOMENT: Duration = Duration::from_millis(20);
