//! Subscription of one node to its replies.

use lifecycle::Entropy;
use protocol::cluster::job::Reply;
use protocol::fault::chain;
use protocol::id::NodeId;
use tokio::sync::mpsc;

use crate::BusError;
use crate::bounds::REPLY_QUEUE;
use crate::metrics::Metrics;
use crate::redis::RedisBus;
use crate::redis::client::{MessageHandler, Missed, Purpose, Subscriber, SubscriberConfig};
use crate::versioned_message::VersionedMessage;

/// Subscribes, over a connection of its own. The subscription ends when the receiver is dropped.
pub(super) async fn open(bus: &RedisBus, node: &NodeId) -> Result<mpsc::Receiver<Reply>, BusError> {
    let shared = &bus.shared;
    let (sender, replies) = mpsc::channel(REPLY_QUEUE);
    let handler = ReplyHandler {
        metrics: shared.metrics.clone(),
        sender,
    };
    let entropy: &dyn Entropy = &*shared.entropy;
    let (names, token) = (shared.names.clone(), entropy.token());
    let config = SubscriberConfig {
        connector: &shared.connector,
        purpose: Purpose::Replies,
        commands: &shared.commands,
        probes: Box::new(move |number| names.probe(&format!("{token}-{number}"))),
        tasks: &shared.tasks,
    };
    let subscriber = Subscriber::open(config, handler).await?;
    let channel = shared.names.reply_channel(node);
    subscriber.subscribe("subscribe to replies", channel).await?;
    Ok(replies)
}

/// Decodes replies and queues them for the node. Missed ones, and those that do not fit, are read from the stored replies.
struct ReplyHandler {
    metrics: Metrics,
    sender: mpsc::Sender<Reply>,
}

impl MessageHandler for ReplyHandler {
    fn on_message(&self, _channel: &str, message: &[u8]) {
        match Reply::read(message) {
            Ok(reply) => drop(self.sender.try_send(reply)),
            Err(error) => report_unreadable(&self.metrics, &error),
        }
    }

    fn on_missed(&self, _missed: Missed<'_>) {}

    fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        let sender = self.sender.clone();
        async move { sender.closed().await }
    }
}

/// Reports a reply that does not decode. Its request ends by its deadline.
pub(super) fn report_unreadable(metrics: &Metrics, error: &BusError) {
    metrics.unreadable("reply");
    tracing::warn!(error = chain(error), "reply does not decode, dropped");
}
