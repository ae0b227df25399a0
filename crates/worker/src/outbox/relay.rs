//! One user's unsent events, in their order, from the store to the bus.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Bus, BusError};
use protocol::cluster::envelope::Envelope;
use protocol::event::name;
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
    pub(crate) fn new(outbox: Arc<dyn Outbox>, bus: Arc<dyn Bus>, metrics: Metrics) -> Self {
        Self {
            outbox,
            publisher: BusPublisher {
                bus,
                outage: Outage::of("publish events"),
            },
            outage: Outage::of("relay events"),
            metrics,
        }
    }

    /// Publishes what this user's transactions have committed; true when all of it is. What fails stays in the outbox, for the sweep.
    pub(crate) async fn user(&self, user: &UserId) -> bool {
        match self.outbox.relay_user(user, &self.publisher).await {
            Ok(relayed) => {
                self.outage.over();
                self.metrics.relay(relayed);
                !relayed.stopped
            }
            Err(error) => {
                self.outage.met(&error);
                false
            }
        }
    }
}

/// The bus, as a relay sees it.
struct BusPublisher {
    bus: Arc<dyn Bus>,
    outage: Outage,
}

#[async_trait]
impl Publisher for BusPublisher {
    async fn publish(&self, user: &UserId, event: &Envelope) -> Result<(), PublishError> {
        match self.hand_over(user, event).await {
            Ok(()) => {
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

impl BusPublisher {
    /// Every alert passes here. A socket that joins before it is published hears it then, so nobody may be told after that none is
    /// open.
    async fn hand_over(&self, user: &UserId, event: &Envelope) -> Result<(), BusError> {
        if event.event == name::ALERT {
            self.bus.clear_no_open_alerts(user).await?;
        }
        self.bus.publish(user, event).await.map(drop)
    }
}
