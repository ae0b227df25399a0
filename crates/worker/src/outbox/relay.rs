//! Relay of one user's unsent events, in sequence, from the store to the bus.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bus::Events;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lifecycle::OutageReporter;
use protocol::cluster::envelope::Envelope;
use protocol::id::UserId;
use store::{Outbox, OutboxId, PublishError, Publisher, Relayed, SentEvent};
use telemetry::trace;
use tokio::time::Instant;
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
    pub(crate) fn new(outbox: Arc<dyn Outbox>, events: Arc<dyn Events>, metrics: Metrics) -> Self {
        Self {
            outbox,
            publisher: BusPublisher {
                events,
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

/// Event of a transaction that has just committed, with no unsent event of its user before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CommittedEvent<'a> {
    pub(crate) id: OutboxId,
    pub(crate) user: &'a UserId,
    pub(crate) event: &'a Envelope,
}

impl OutboxRelay {
    /// Publishes committed events without reading them from the outbox: those of one user in their order, up to the first that the bus
    /// refuses. Returns the published events; the others stay in the outbox, for the sweep.
    pub(crate) async fn publish_committed(&self, events: Vec<CommittedEvent<'_>>) -> Vec<SentEvent> {
        let committed = Instant::now();
        let mut of_users: HashMap<_, Vec<_>> = HashMap::new();
        for event in events {
            of_users.entry(event.user).or_default().push(event);
        }
        let publications = of_users
            .into_values()
            .map(|events| self.publish_in_sequence(events, committed));
        let mut publications: FuturesUnordered<_> = publications.collect();
        let mut sent = Vec::new();
        while let Some(of_user) = publications.next().await {
            sent.extend(of_user);
        }
        sent
    }

    async fn publish_in_sequence(&self, events: Vec<CommittedEvent<'_>>, committed: Instant) -> Vec<SentEvent> {
        let mut sent = Vec::with_capacity(events.len());
        for CommittedEvent { id, user, event } in &events {
            if self.publisher.publish(user, event).await.is_err() {
                break;
            }
            let age = committed.elapsed();
            sent.push(SentEvent { id: *id, age });
        }
        self.metrics.relay(Relayed {
            sent: sent.len() as u64,
            stopped: sent.len() < events.len(),
        });
        sent
    }
}

/// Publisher that writes to the bus.
struct BusPublisher {
    events: Arc<dyn Events>,
    outage: OutageReporter,
}

#[async_trait]
impl Publisher for BusPublisher {
    async fn publish(&self, user: &UserId, event: &Envelope) -> Result<(), PublishError> {
        match self.events.publish(user, event).await {
            Ok(_) => {
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
