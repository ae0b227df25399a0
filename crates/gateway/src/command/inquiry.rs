//! What the gateway itself asks of a worker: a job whose answer is for us and not for a client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::{Bus, BusError};
use protocol::cluster::job::{Job, JobOutcome, Reply};
use protocol::id::{JobId, NodeId};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The inquiries of this node that wait for an answer.
pub(crate) struct WorkerClient {
    bus: Arc<dyn Bus>,
    node: NodeId,
    waiting: Mutex<HashMap<JobId, oneshot::Sender<JobOutcome>>>,
}

impl WorkerClient {
    /// None yet.
    pub(crate) fn new(bus: Arc<dyn Bus>, node: NodeId) -> Self {
        Self {
            bus,
            node,
            waiting: Mutex::default(),
        }
    }

    /// Which gateway asks.
    pub(crate) fn node(&self) -> &NodeId {
        &self.node
    }

    /// Queues a job and waits for its answer; `None` when none came in time.
    ///
    /// # Errors
    /// [`BusError`] when it could not be queued.
    pub(crate) async fn ask(&self, job: &Job, job_timeout: Duration) -> Result<Option<JobOutcome>, BusError> {
        let (tell, mut told) = oneshot::channel();
        self.waiting().insert(job.id.clone(), tell);
        let _waiting = Waiting { of: self, job: &job.id };
        self.bus.submit(job.work.lane(), job, job_timeout).await?;
        if let Ok(Ok(outcome)) = timeout(job_timeout / 2, &mut told).await {
            return Ok(Some(outcome));
        }
        // Its announcement may have been missed.
        let kept = self
            .bus
            .stored_replies(&self.node, std::slice::from_ref(&job.id))
            .await?;
        if let Some(reply) = kept.into_iter().next() {
            return Ok(Some(reply.outcome));
        }
        Ok(timeout(job_timeout / 2, told).await.ok().and_then(Result::ok))
    }

    /// Takes an answer. True when it was one of ours.
    pub(super) fn settle(&self, reply: &Reply) -> bool {
        let Some(tell) = self.waiting().remove(&reply.job) else {
            return false;
        };
        // Who asked may have given up meanwhile.
        drop(tell.send(reply.outcome.clone()));
        true
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<JobId, oneshot::Sender<JobOutcome>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets an inquiry when nobody waits for it any more.
struct Waiting<'a> {
    of: &'a WorkerClient,
    job: &'a JobId,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.of.waiting().remove(self.job);
    }
}
