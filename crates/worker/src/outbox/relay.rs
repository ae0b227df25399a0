//! Relay of one user's unsent events, in sequence, from the store to the bus.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{BusError, Events, Hints};
use lifecycle::OutageReporter;
use protocol::cluster::envelope::Envelope;
use protocol::event::name;
use protocol::id::UserId;
use store::{Outbox, PublishError, Publisher};
use telemetry::trace;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::metrics::Metrics;
use crate::outage::report_failure;
use crate::trace::record_failure;

/// Relays the outbox events of users.
pub(crate) struct OutboxRelay {
    outbox: Arc<dyn Outbox>,
    publisher: BusPublisher,
    outage: OutageReporter,
    metrics: Metrics,
}

impl OutboxRelay {
    pub(crate) fn new(
        outbox: Arc<dyn Outbox>,
        events: Arc<dyn Events>,
        hints: Arc<dyn Hints>,
        metrics: Metrics,
    ) -> Self {
        Self {
            outbox,
            publisher: BusPublisher {
                events,
                hints,
                outage: OutageReporter::new("publish events"),
            },
            outage: OutageReporter::new("relay events"),
            metrics,
        }
    }

    /// Publishes the committed events of this user; true if all were published. The others stay in the outbox, for the sweep.
    pub(crate) async fn user(&self, user: &UserId) -> bool {
        let span = relay_span();
        let relayed = self.outbox.relay_user(user, &self.publisher);
        match relayed.instrument(span.clone()).await {
            Ok(relayed) => {
                self.outage.succeeded();
                self.metrics.relay(relayed);
                span.record("events", i64::try_from(relayed.sent).unwrap_or(i64::MAX));
                !relayed.stopped
            }
            Err(error) => {
                report_failure(&self.outage, &error);
                record_failure(&span, &error);
                false
            }
        }
    }
}

/// Publisher that writes to the bus.
struct BusPublisher {
    events: Arc<dyn Events>,
    hints: Arc<dyn Hints>,
    outage: OutageReporter,
}

#[async_trait]
impl Publisher for BusPublisher {
    async fn publish(&self, user: &UserId, event: &Envelope) -> Result<(), PublishError> {
        match self.publish_to_bus(user, event).await {
            Ok(()) => {
                self.outage.succeeded();
                Ok(())
            }
            Err(error) => {
                report_failure(&self.outage, &error);
                Err(PublishError)
            }
        }
    }
}

impl BusPublisher {
    /// Publishes one event. The hint that no alert is open is dropped first: a socket that joins later must read the alerts from the
    /// store.
    async fn publish_to_bus(&self, user: &UserId, event: &Envelope) -> Result<(), BusError> {
        if event.event == name::ALERT {
            self.hints.clear_no_open_alerts(user).await?;
        }
        self.events.publish(user, event).await.map(drop)
    }
}

/// Span of one run of the relay: in the trace of the job that runs it, or a trace of its own for the sweep. The publication of an
/// event is in the trace of the transaction that queued it, whichever run of the relay publishes it.
fn relay_span() -> Span {
    if trace::current().is_some_and(|current| !current.is_sampled()) {
        return Span::none();
    }
    tracing::info_span!(
        target: trace::TARGET,
        "relay",
        otel.name = "relay outbox",
        otel.kind = "internal",
        events = Empty,
    )
}
