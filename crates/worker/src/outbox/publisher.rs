//! Publisher of the outbox that writes to the bus.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{BusError, Events, PublishMode, PublishOutcome, PublishPhase, Repeats};
use lifecycle::OutageReporter;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::Epoch;
use protocol::id::UserId;
use store::{Publication, PublishError, Publisher};

use crate::outage::report_failure;

/// Publisher to the event logs of the bus.
pub(super) struct BusPublisher {
    pub(super) events: Arc<dyn Events>,
    pub(super) outage: OutageReporter,
}

#[async_trait]
impl Publisher for BusPublisher {
    async fn publish(
        &self,
        user: &UserId,
        event: &Envelope,
        restored: Option<&Epoch>,
    ) -> Result<Publication, PublishError> {
        let mode = PublishMode {
            repeats: Repeats::Dropped,
            phase: restored.map_or(PublishPhase::AfterRestore, PublishPhase::DuringRestore),
        };
        match self.reported(self.events.publish_with(user, event, mode).await)? {
            // A dropped repetition is not compared.
            PublishOutcome::Assigned(_) | PublishOutcome::Duplicate | PublishOutcome::Conflict => {
                Ok(Publication::Accepted)
            }
            PublishOutcome::Unrestored => Ok(Publication::Unrestored),
        }
    }

    async fn unrestored_epoch(&self, user: &UserId) -> Result<Option<Epoch>, PublishError> {
        self.reported(self.events.unrestored_epoch(user).await)
    }

    async fn mark_restored(&self, user: &UserId, epoch: &Epoch) -> Result<bool, PublishError> {
        self.reported(self.events.mark_restored(user, epoch).await)
    }
}

impl BusPublisher {
    fn reported<T>(&self, result: Result<T, BusError>) -> Result<T, PublishError> {
        match result {
            Ok(outcome) => {
                self.outage.succeeded();
                Ok(outcome)
            }
            Err(error) => {
                report_failure(&self.outage, &error);
                Err(PublishError)
            }
        }
    }
}
