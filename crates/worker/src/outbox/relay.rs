//! One user's unsent events, in their order, from the store to the bus.

use std::sync::Arc;

use async_trait::async_trait;
use bus::Events;
use protocol::cluster::envelope::Envelope;
use protocol::id::UserId;
use store::{Outbox, PublishError, Publisher};

use crate::metrics::Metrics;
use crate::outage::Outage;

/// Relays the events of users.
pub(crate) struct Relay {
    outbox: Arc<dyn Outbox>,
    publisher: BusPublisher,
    outage: Outage,
    metrics: Metrics,
}

impl Relay {
    pub(crate) fn new(outbox: Arc<dyn Outbox>, events: Arc<dyn Events>, metrics: Metrics) -> Self {
        Self {
            outbox,
            publisher: BusPublisher {
                events,
                outage: Outage::of("publish events"),
            },
            outage: Outage::of("relay events"),
            metrics,
        }
    }

    /// Publishes what this user's transactions have committed. What fails stays in the outbox, for the sweep.
    pub(crate) async fn user(&self, user: &UserId) {
        match self.outbox.relay_user(user, &self.publisher).await {
            Ok(relayed) => {
                self.outage.over();
                self.metrics.relay(relayed);
            }
            Err(error) => self.outage.met(&error),
        }
    }
}

/// The bus, as a relay sees it.
struct BusPublisher {
    events: Arc<dyn Events>,
    outage: Outage,
}

#[async_trait]
impl Publisher for BusPublisher {
    async fn publish(&self, user: &UserId, event: &Envelope) -> Result<(), PublishError> {
        match self.events.publish(user, event).await {
            Ok(_now_or_before) => {
                self.outage.over();
                Ok(())
            }
            Err(error) => {
                self.outage.met(&error);
                Err(PublishError)
            }
        }
    }
}
