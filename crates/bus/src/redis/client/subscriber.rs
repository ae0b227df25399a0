//! Subscriptions to sharded channels that survive reconnects, with a notice of possibly missed messages.
//!
//! fred drops the subscriptions of a broken connection, and its subscriber client resubscribes channels that were unsubscribed
//! meanwhile and gives up on the first error. So [`registry`] holds the desired subscriptions, and one [`task`] per subscriber
//! reconciles the connection with it.

mod commands;
mod probe;
mod registry;
mod task;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lifecycle::Tasks;
use tokio::time::{Instant, timeout};

use self::registry::{Channel, Registry};
use self::task::SubscriberTask;
use super::command_failure::CommandFailure;
use super::connector::{Connector, Purpose};
use super::{COMMAND_TIMEOUT, Client};
use crate::BusError;
use crate::metrics::Metrics;
use crate::operation::Operation;

/// Handler of a subscriber's messages.
pub(in crate::redis) trait MessageHandler: Send + 'static {
    /// Handles a message on a subscribed channel, or one that was unsubscribed a moment ago.
    fn on_message(&mut self, channel: &str, message: &[u8]);

    /// Handles a possible loss of messages, after their channels were subscribed again.
    fn on_missed(&mut self, missed: Missed<'_>);

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

/// Subscriptions of one connection. They end when the handler is closed or the tasks are drained.
pub(in crate::redis) struct Subscriber {
    shared: Arc<SubscriberState>,
    metrics: Metrics,
}

struct SubscriberState {
    registry: Registry,
    /// True if probe messages arrive.
    live: AtomicBool,
}

/// Parts of a subscriber.
pub(in crate::redis) struct SubscriberConfig<'a> {
    pub(in crate::redis) connector: &'a Connector,
    pub(in crate::redis) purpose: Purpose,
    /// Connection that publishes the probe messages.
    pub(in crate::redis) commands: &'a Client,
    /// Channel of the probe messages, used by this subscriber alone.
    pub(in crate::redis) probe: String,
    pub(in crate::redis) tasks: &'a Tasks,
}

impl Subscriber {
    /// Connects, and waits until the server has confirmed the probe channel.
    pub(in crate::redis) async fn open<L: MessageHandler>(
        config: SubscriberConfig<'_>,
        handler: L,
    ) -> Result<Self, BusError> {
        let connection = config.connector.open(config.purpose).await;
        let connection = connection.map_err(|error| CommandFailure::Fred(error).at_step(STEP))?;
        let shared = Arc::new(SubscriberState {
            registry: Registry::default(),
            live: AtomicBool::new(true),
        });
        let metrics = config.commands.metrics().clone();
        metrics.connection_opened(config.purpose.name());
        let subscriber = Self {
            shared: Arc::clone(&shared),
            metrics,
        };
        let (soft, probe) = (config.tasks.soft(), config.probe.clone());
        let task = SubscriberTask::new(connection, shared, &config, handler);
        config.tasks.each("redis subscriber", async move {
            soft.run_until_cancelled(task.run()).await;
        });
        subscriber.subscribe(STEP, probe).await?;
        Ok(subscriber)
    }

    /// Subscribes a channel and waits until the server has confirmed or refused it. After an error the channel stays desired.
    pub(in crate::redis) async fn subscribe(&self, step: &'static str, channel: String) -> Result<(), BusError> {
        let Some(confirmed) = self.shared.registry.subscribe(channel.into()) else {
            return Ok(());
        };
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
        self.shared.registry.unsubscribe(channel);
    }

    /// Reports whether all desired channels are subscribed and the last probe message arrived.
    pub(in crate::redis) fn is_live(&self) -> bool {
        self.shared.live.load(Ordering::Relaxed)
    }
}

const STEP: &str = "open a redis subscriber";

/// Channels per batch. A single command with 100,000 stalls the server for 110 ms.
const BATCH: usize = 512;

/// Interval of the probe messages.
const HEARTBEAT: Duration = Duration::from_secs(1);
