//! Relay of one user's unsent events, in sequence, from the store to the bus.

use std::sync::Arc;

use bus::Events;
use lifecycle::OutageReporter;
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::id::UserId;
use store::{Outbox, Relayed, StoreError};
use telemetry::trace;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::publisher::BusPublisher;
use crate::call::{Call, Refusal};
use crate::metrics::Metrics;
use crate::outage::report_failure;
use crate::trace::record_failure;

/// Relays the outbox events of users.
pub(crate) struct OutboxRelay {
    outbox: Arc<dyn Outbox>,
    pub(super) publisher: BusPublisher,
    outage: OutageReporter,
    pub(super) metrics: Metrics,
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
        let relayed = self.recorded(self.outbox.relay_user(user, &self.publisher)).await;
        relayed.is_ok_and(|relayed| !relayed.stopped)
    }

    /// Publishes the recent events of this user again, if the bus has lost its event log; true if all were published.
    pub(crate) async fn restore(&self, user: &UserId) -> bool {
        self.try_restore(user).await.is_ok()
    }

    /// Restores the event log of the user of a job.
    pub(crate) async fn restore_for(&self, call: &Call) -> Result<JobOutcome, NotRestored> {
        self.try_restore(&call.user).await?;
        Ok(JobOutcome::done())
    }

    async fn try_restore(&self, user: &UserId) -> Result<(), NotRestored> {
        let relayed = self.recorded(self.outbox.restore_user(user, &self.publisher)).await;
        if relayed.map_err(NotRestored::Store)?.stopped {
            return Err(NotRestored::Stopped);
        }
        Ok(())
    }

    async fn recorded(&self, relay: impl Future<Output = Result<Relayed, StoreError>>) -> Result<Relayed, StoreError> {
        let span = relay_span();
        let outcome = relay.instrument(span.clone()).await;
        match &outcome {
            Ok(relayed) => {
                self.outage.succeeded();
                self.metrics.relay(*relayed);
                span.record(
                    "events",
                    i64::try_from(relayed.sent + relayed.resent).unwrap_or(i64::MAX),
                );
            }
            Err(error) => {
                report_failure(&self.outage, error);
                record_failure(&span, error);
            }
        }
        outcome
    }
}

/// The recent events of a user are not all published again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRestored {
    /// The outbox was not read.
    #[error("read the recent events of the user")]
    Store(#[source] StoreError),
    /// The bus did not take an event.
    #[error("publish the recent events of the user again")]
    Stopped,
}

impl Fault for NotRestored {
    fn code(&self) -> ErrorCode {
        ErrorCode::Unavailable
    }
}

impl Refusal for NotRestored {}

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
