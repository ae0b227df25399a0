//! Subscriptions to sharded channels that survive reconnects and moves of slots, with a notice of possibly missed messages.
//!
//! fred drops the subscriptions of a broken connection, and its subscriber client resubscribes channels that were unsubscribed
//! meanwhile and gives up on the first error. So [`registry`] holds the desired subscriptions at one server, and one [`task`] per server
//! reconciles a connection with it. [`shards`] has one registry for each primary of the slot map, which [`follow`] applies; one server is a
//! map with one primary.

mod commands;
mod follow;
mod probe;
mod registry;
mod shard;
mod shards;
mod task;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use lifecycle::Tasks;
use tokio::time::{Instant, timeout};

use self::follow::{MapFollower, Opened};
use self::registry::{Channel, Confirmed};
use self::shards::Shards;
use super::command_failure::CommandFailure;
use super::connector::{Connector, Purpose};
use super::{COMMAND_TIMEOUT, Client};
use crate::BusError;
use crate::metrics::Metrics;
use crate::operation::Operation;

/// Handler of a subscriber's messages. The tasks of several servers call it; messages of one channel come from one of them at a time.
pub(in crate::redis) trait MessageHandler: Send + Sync + 'static {
    /// Handles a message on a subscribed channel, or one that was unsubscribed a moment ago.
    fn on_message(&self, channel: &str, message: &[u8]);

    /// Handles a possible loss of messages, after their channels were subscribed again.
    fn on_missed(&self, missed: Missed<'_>);

    /// Resolves when the receiving end is dropped.
    fn closed(&self) -> impl Future<Output = ()> + Send + 'static;
}

/// Channels whose messages may have been lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::redis) enum Missed<'a> {
    /// All channels.
    All,
    /// Only these.
    Of(&'a [Channel]),
}

/// Subscriptions of one node for one purpose. They end when the handler is closed or the tasks are drained.
pub(in crate::redis) struct Subscriber {
    shards: Arc<Shards>,
    metrics: Metrics,
}

/// Numbered names of channels for probe messages, used by one subscriber alone.
pub(in crate::redis) type ProbeNames = Box<dyn Fn(u32) -> String + Send + Sync>;

/// Parts of a subscriber.
pub(in crate::redis) struct SubscriberConfig<'a> {
    pub(in crate::redis) connector: &'a Connector,
    pub(in crate::redis) purpose: Purpose,
    /// Connections that publish the probe messages.
    pub(in crate::redis) commands: &'a Client,
    pub(in crate::redis) probes: ProbeNames,
    pub(in crate::redis) tasks: &'a Tasks,
}

impl Subscriber {
    /// Connects to every primary, and waits until each has confirmed its probe channel.
    pub(in crate::redis) async fn open<L: MessageHandler>(
        config: SubscriberConfig<'_>,
        handler: L,
    ) -> Result<Self, BusError> {
        let (metrics, end) = (config.commands.metrics().clone(), config.tasks.soft().child_token());
        let mut map = config.connector.slots().watch();
        let shards = Arc::new(Shards::new(config.probes));
        let first = map.borrow_and_update().clone();
        let opening = shards.apply(first, &end).into_iter().map(|shard| {
            // Boxed: fred's futures are several KiB.
            let connection = Box::pin(config.connector.open_at(shard.server().clone(), config.purpose));
            async move { Ok::<_, fred::error::Error>((shard, connection.await?)) }
        });
        let opened: Result<Opened, _> = try_join_all(opening).await;
        let opened = opened.map_err(|error| CommandFailure::Fred(error).at_step(STEP))?;
        metrics.connection_opened(config.purpose.name());
        let subscriber = Self {
            shards: Arc::clone(&shards),
            metrics,
        };
        let probes: Vec<_> = opened
            .iter()
            .filter_map(|(shard, _)| shard.registry.subscribe(shard.probe()))
            .collect();
        MapFollower {
            shards,
            handler: Arc::new(handler),
            connector: config.connector.clone(),
            purpose: config.purpose,
            commands: config.commands.clone(),
            tasks: config.tasks.clone(),
            end,
        }
        .start(opened, map);
        try_join_all(probes.into_iter().map(|probe| subscriber.confirmed(STEP, probe))).await?;
        Ok(subscriber)
    }

    /// Subscribes a channel and waits until the server has confirmed or refused it. After an error the channel stays desired.
    pub(in crate::redis) async fn subscribe(&self, step: &'static str, channel: String) -> Result<(), BusError> {
        match self.shards.subscribe(channel.into()) {
            Some(confirmed) => self.confirmed(step, confirmed).await,
            None => Ok(()),
        }
    }

    /// Waits for the reply of the server that owns the channel's slot. If the slot moves, that is the next one.
    async fn confirmed(&self, step: &'static str, confirmed: Confirmed) -> Result<(), BusError> {
        let begin = Instant::now();
        let outcome = match timeout(COMMAND_TIMEOUT, confirmed).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(refusal))) => Err(CommandFailure::Fred(refusal)),
            Ok(Err(_)) | Err(_) => Err(CommandFailure::Unconfirmed),
        };
        let error_type = outcome.as_ref().err().map(CommandFailure::error_type);
        self.metrics
            .operation(Operation::SSubscribe, begin.elapsed(), error_type);
        outcome.map_err(|failure| failure.at_step(step))
    }

    /// Unsubscribes a channel.
    pub(in crate::redis) fn unsubscribe(&self, channel: &str) {
        self.shards.unsubscribe(channel);
    }

    /// Reports whether all desired channels are subscribed and the last probe messages arrived.
    pub(in crate::redis) fn is_live(&self) -> bool {
        self.shards.is_live()
    }
}

const STEP: &str = "open a redis subscriber";

/// Channels per batch. A single command with 100,000 stalls the server for 110 ms.
const BATCH: usize = 512;

/// Interval of the probe messages.
const HEARTBEAT: Duration = Duration::from_secs(1);
