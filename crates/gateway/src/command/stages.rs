//! Times of a command in its stages: the admission, the enqueuing of its job, the wait for a worker.

use std::time::Duration;

use protocol::command::{CommandKind, Executor};
use tokio::time::Instant;

use super::Commands;
use super::pending::PendingRequest;
use crate::metrics::CommandStage;

impl Commands {
    /// Runs a stage of a command, and records its time.
    pub(super) async fn timed<T>(&self, kind: CommandKind, stage: CommandStage, step: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let done = step.await;
        self.metrics.command_stage(kind, stage, started.elapsed());
        done
    }

    /// Records the wait of a request that a worker has answered. A reply may overtake the confirmation that the job is enqueued.
    pub(super) fn record_wait(&self, pending: &PendingRequest) {
        let kind = pending.outline.kind();
        if kind.policy().executor == Executor::Worker {
            let wait = pending.enqueued.map_or(Duration::ZERO, |at| at.elapsed());
            self.metrics.command_stage(kind, CommandStage::Wait, wait);
        }
    }

    /// Records the wait of a request that no worker has answered, if its job was enqueued.
    pub(super) fn record_unanswered_wait(&self, pending: &PendingRequest) {
        if pending.enqueued.is_some() {
            self.record_wait(pending);
        }
    }
}
