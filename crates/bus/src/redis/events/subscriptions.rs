//! Subscriptions of one node to its users' channels.

use async_trait::async_trait;
use lifecycle::Entropy;
use protocol::cluster::envelope::Envelope;
use protocol::fault::chain;
use protocol::id::{ResumeTokenId, UserId};
use std::sync::Arc;

use crate::metrics::Metrics;
use crate::redis::RedisBus;
use crate::redis::client::{MessageHandler, Missed, Purpose, Subscriber, SubscriberConfig};
use crate::redis::names::Names;
use crate::versioned_message::VersionedMessage;
use crate::{BusError, ChannelMessage, ChannelMessages, MessageQueue, UserSubscriptions};

/// Handle by which a node changes its subscriptions.
pub(super) struct RedisSubscriptions {
    subscriber: Subscriber,
    names: Names,
}

impl RedisSubscriptions {
    /// Opens the subscriptions on a connection of their own.
    pub(super) async fn open(bus: &RedisBus) -> Result<(Self, ChannelMessages), BusError> {
        let shared = &bus.shared;
        let (message_queue, messages) = MessageQueue::new(MessageQueue::CAPACITY);
        let handler = EventHandler {
            names: shared.names.clone(),
            metrics: shared.metrics.clone(),
            message_queue,
        };
        let entropy: &dyn Entropy = &*shared.entropy;
        let (names, token) = (shared.names.clone(), entropy.token());
        let config = SubscriberConfig {
            connector: &shared.connector,
            purpose: Purpose::Events,
            commands: &shared.commands,
            probes: Box::new(move |number| names.probe(&format!("{token}-{number}"))),
            tasks: &shared.tasks,
        };
        let subscriptions = Self {
            subscriber: Subscriber::open(config, handler).await?,
            names: shared.names.clone(),
        };
        Ok((subscriptions, messages))
    }
}

#[async_trait]
impl UserSubscriptions for RedisSubscriptions {
    async fn subscribe(&self, user: &UserId) -> Result<(), BusError> {
        let channel = self.names.event_channel(user);
        self.subscriber.subscribe("subscribe to a user channel", channel).await
    }

    fn unsubscribe(&self, user: &UserId) {
        self.subscriber.unsubscribe(&self.names.event_channel(user));
    }

    fn is_live(&self) -> bool {
        self.subscriber.is_live()
    }
}

/// Decodes messages and queues them for the node, without blocking.
struct EventHandler {
    names: Names,
    metrics: Metrics,
    message_queue: MessageQueue,
}

impl MessageHandler for EventHandler {
    fn on_message(&self, channel: &str, message: &[u8]) {
        let Some(user) = self.names.user_of_channel(channel) else {
            return;
        };
        match read(&user, message) {
            Ok(message) => {
                if self.message_queue.push(message) {
                    self.metrics.missed(Purpose::Events.name());
                }
            }
            Err(error) => {
                self.metrics.unreadable("event");
                tracing::warn!(%user, error = chain(&error), "event does not decode, dropped");
                // The sockets are notified of the gap at once, not with the user's next event.
                if self.message_queue.push_missed_of(vec![user]) {
                    self.metrics.missed(Purpose::Events.name());
                }
            }
        }
    }

    fn on_missed(&self, missed: Missed<'_>) {
        match missed {
            Missed::All => self.message_queue.push(ChannelMessage::Missed),
            Missed::Of(channels) => {
                let users = channels
                    .iter()
                    .filter_map(|channel| self.names.user_of_channel(channel));
                self.message_queue.push_missed_of(users.collect())
            }
        };
    }

    fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        self.message_queue.closed()
    }
}

/// Decodes `<epoch>-<seq> <envelope>` of `publish_event.lua`, or `redeemed <redemption> <token>` of `redeem_token.lua`.
fn read(user: &UserId, message: &[u8]) -> Result<ChannelMessage, BusError> {
    if let Some(message) = message.strip_prefix(b"redeemed ") {
        return redeemed(user, message).ok_or_else(|| unreadable("malformed redemption"));
    }
    let space = message.iter().position(|byte| *byte == b' ').unwrap_or(message.len());
    let (offset, rest) = message.split_at(space);
    let offset = str::from_utf8(offset).ok().and_then(|text| text.parse().ok());
    Ok(ChannelMessage::Event {
        user: user.clone(),
        offset: offset.ok_or_else(|| unreadable("it has no position"))?,
        envelope: Arc::new(Envelope::read(rest)?),
    })
}

fn redeemed(user: &UserId, message: &[u8]) -> Option<ChannelMessage> {
    let (redemption, token) = str::from_utf8(message).ok()?.split_once(' ')?;
    Some(ChannelMessage::Redeemed {
        user: user.clone(),
        token: ResumeTokenId::new(token).ok()?,
        redemption: redemption.parse().ok()?,
    })
}

fn unreadable(why: &'static str) -> BusError {
    BusError::Unreadable {
        step: Envelope::NAME,
        source: why.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_without_offset_or_envelope_is_an_error() {
        let user = UserId::new("u").unwrap();
        for message in [
            "",
            " ",
            "x-1 {}",
            "0a-1",
            "0a-1 {}",
            "0a-1 [",
            "{}",
            "redeemed ",
            "redeemed x y",
            "redeemed 1 ",
        ] {
            assert!(read(&user, message.as_bytes()).is_err(), "{message}");
        }
    }
}
