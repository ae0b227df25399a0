//! One node's ear for answers.

use lifecycle::Entropy;
use protocol::cluster::job::Reply;
use protocol::fault::chain;
use protocol::id::NodeId;
use tokio::sync::mpsc;

use crate::BusError;
use crate::bounds::REPLIES_BOUND;
use crate::letter::Letter;
use crate::metrics::Metrics;
use crate::redis::RedisBus;
use crate::redis::client::{MessageHandler, Purpose, Subscriber, SubscriberConfig};

/// Opens a connection of its own. It ends when the receiver is dropped.
pub(super) async fn open(bus: &RedisBus, node: &NodeId) -> Result<mpsc::Receiver<Reply>, BusError> {
    let shared = &bus.shared;
    let (sender, replies) = mpsc::channel(REPLIES_BOUND);
    let handler = ReplyHandler {
        metrics: shared.metrics.clone(),
        sender,
    };
    let entropy: &dyn Entropy = &*shared.entropy;
    let config = SubscriberConfig {
        connector: &shared.connector,
        purpose: Purpose::Replies,
        commands: &shared.commands,
        probe: shared.names.probe(&entropy.token()),
        tasks: &shared.tasks,
    };
    let subscriber = Subscriber::open(config, handler).await?;
    let channel = shared.names.node(node);
    subscriber.subscribe("listen for answers", channel).await?;
    Ok(replies)
}

/// Reads answers and passes them on. One that finds no room, or is missed, is kept for a minute and read then.
struct ReplyHandler {
    metrics: Metrics,
    sender: mpsc::Sender<Reply>,
}

impl MessageHandler for ReplyHandler {
    fn on_message(&mut self, _channel: &str, message: &[u8]) {
        match Reply::read(message) {
            Ok(reply) => drop(self.sender.try_send(reply)),
            Err(error) => {
                self.metrics.unreadable("reply");
                tracing::warn!(error = chain(&error), "an answer is left out");
            }
        }
    }

    fn on_missed(&mut self) {}

    fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        let sender = self.sender.clone();
        async move { sender.closed().await }
    }
}
