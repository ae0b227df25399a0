//! One node's subscriptions to its users' channels.

use async_trait::async_trait;
use lifecycle::Entropy;
use protocol::cluster::envelope::Envelope;
use protocol::fault::chain;
use protocol::id::{ResumeTokenId, UserId};
use std::sync::Arc;
use tokio::sync::mpsc;

use crate::letter::Letter;
use crate::metrics::Metrics;
use crate::outlet::Outlet;
use crate::redis::RedisBus;
use crate::redis::client::{MessageHandler, Purpose, Subscriber, SubscriberConfig};
use crate::redis::names::Names;
use crate::{BusError, ChannelMessage, UserSubscriptions};

/// The feed that is handed out.
pub(super) struct RedisSubscriptions {
    subscriber: Subscriber,
    names: Names,
}

impl RedisSubscriptions {
    /// Opens a connection of its own.
    pub(super) async fn open(bus: &RedisBus) -> Result<(Self, mpsc::Receiver<ChannelMessage>), BusError> {
        let shared = &bus.shared;
        let (outlet, heard) = Outlet::new(Outlet::BOUND);
        let handler = EventHandler {
            names: shared.names.clone(),
            metrics: shared.metrics.clone(),
            outlet,
        };
        let entropy: &dyn Entropy = &*shared.entropy;
        let config = SubscriberConfig {
            connector: &shared.connector,
            purpose: Purpose::Events,
            commands: &shared.commands,
            probe: shared.names.probe(&entropy.token()),
            tasks: &shared.tasks,
        };
        let feed = Self {
            subscriber: Subscriber::open(config, handler).await?,
            names: shared.names.clone(),
        };
        Ok((feed, heard))
    }
}

#[async_trait]
impl UserSubscriptions for RedisSubscriptions {
    async fn subscribe(&self, user: &UserId) -> Result<(), BusError> {
        let channel = self.names.events(user);
        self.subscriber.subscribe("subscribe to a user", channel).await
    }

    fn unsubscribe(&self, user: &UserId) {
        self.subscriber.unsubscribe(&self.names.events(user));
    }

    fn is_live(&self) -> bool {
        self.subscriber.is_live()
    }
}

/// Reads messages and passes them on, without waiting for anyone.
struct EventHandler {
    names: Names,
    metrics: Metrics,
    outlet: Outlet,
}

impl MessageHandler for EventHandler {
    fn on_message(&mut self, channel: &str, message: &[u8]) {
        let Some(user) = self.names.user_of_events(channel) else {
            return;
        };
        match read(&user, message) {
            Ok(heard) => {
                if !self.outlet.pass(heard) {
                    self.metrics.missed(Purpose::Events.name());
                }
            }
            Err(error) => {
                self.metrics.unreadable("event");
                tracing::warn!(%user, error = chain(&error), "an event is left out");
            }
        }
    }

    fn on_missed(&mut self) {
        self.outlet.missed();
    }

    fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        self.outlet.closed()
    }
}

/// `<epoch>-<seq> <envelope>`, as publish.lua says it, or `redeemed <redemption> <ticket>`, as `redeem_ticket.lua` does.
fn read(user: &UserId, message: &[u8]) -> Result<ChannelMessage, BusError> {
    if let Some(message) = message.strip_prefix(b"redeemed ") {
        return redeemed(user, message).ok_or_else(|| unreadable("no ticket was redeemed"));
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
    let (redemption, ticket) = str::from_utf8(message).ok()?.split_once(' ')?;
    Some(ChannelMessage::Redeemed {
        user: user.clone(),
        ticket: ResumeTokenId::new(ticket).ok()?,
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
    fn a_message_without_position_or_envelope_is_an_error() {
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
