//! Server of one lane: claims jobs while a concurrency permit is free, and starts each. A job whose user has no free slot waits here,
//! without a permit, while its claim is renewed.

use std::sync::Arc;
use std::time::Duration;

use bus::{ClaimedJob, Jobs};
use lifecycle::{Backoff, Entropy, Latch, OutageReporter, Tasks};
use protocol::cluster::job::Lane;
use protocol::id::WorkerId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::renew::{ClaimedEntries, EntryGuard, renew};
use super::run::Runner;
use super::slots::{UserClaim, UserSlots};
use super::trace::process_span;
use crate::call::LanePermit;
use crate::metrics::Metrics;
use crate::outage::report_failure;

/// Serves one lane.
pub(crate) struct LaneServer {
    pub(crate) lane: Lane,
    pub(crate) worker: WorkerId,
    pub(crate) concurrency: usize,
    /// Shared by all lanes of the worker.
    pub(crate) slots: UserSlots,
    pub(crate) jobs: Arc<dyn Jobs>,
    pub(crate) runner: Arc<Runner>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
}

/// Admission of a claimed job: what it has acquired, and what it still waits for.
struct Admission {
    permits: Arc<Semaphore>,
    /// Claim on the slots of its user; none where the job does not count for one.
    claim: Option<UserClaim>,
    slot: Option<OwnedSemaphorePermit>,
    permit: Option<OwnedSemaphorePermit>,
}

impl LaneServer {
    /// Serves until the node drains and the claimed jobs are done. The first successful claim releases the latch.
    pub(crate) async fn serve(self, latch: Latch) {
        let entries = ClaimedEntries::default();
        let closed = CancellationToken::new();
        tokio::join!(
            async {
                self.claim_all(latch, &entries).await;
                closed.cancel();
            },
            renew(&*self.jobs, self.lane, &self.worker, &entries, &closed),
        );
    }

    async fn claim_all(&self, latch: Latch, entries: &ClaimedEntries) {
        let mut latch = Some(latch);
        let permits = Arc::new(Semaphore::new(self.concurrency));
        let drain = self.tasks.soft();
        let outage = OutageReporter::new("claim jobs");
        let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_CAP);
        while let Some(permit) = self.free_permit(&permits, &drain, &outage).await {
            // The other free permits stay available while this waits for jobs: a job that waits for its user's slot may need one.
            let most = 1 + permits.available_permits();
            // Never cancelled: the jobs that it had claimed by then would count as lost by this worker.
            match self.jobs.claim(self.lane, &self.worker, most, CLAIM_WAIT).await {
                Ok(claimed) => {
                    if let Some(latch) = latch.take() {
                        latch.release();
                    }
                    outage.succeeded();
                    backoff.reset();
                    self.start_all(claimed, permit, &permits, entries);
                }
                Err(error) => {
                    report_failure(&outage, &error);
                    let wait = backoff.next(&*self.entropy);
                    let _drained_or_not = tokio::time::timeout(wait, drain.cancelled()).await;
                }
            }
        }
    }

    /// Acquires a permit; none when the node drains. While all are taken, the lane counts as served all the same.
    async fn free_permit(
        &self,
        permits: &Arc<Semaphore>,
        drain: &CancellationToken,
        outage: &OutageReporter,
    ) -> Option<OwnedSemaphorePermit> {
        loop {
            tokio::select! {
                biased;
                () = drain.cancelled() => return None,
                permit = Arc::clone(permits).acquire_owned() => return permit.ok(),
                () = sleep(MARK_INTERVAL) => {}
            }
            if let Err(error) = self.jobs.mark_served(self.lane).await {
                report_failure(outage, &error);
            }
        }
    }

    fn start_all(
        &self,
        claimed: Vec<ClaimedJob>,
        permit: OwnedSemaphorePermit,
        permits: &Arc<Semaphore>,
        entries: &ClaimedEntries,
    ) {
        let mut permit = Some(permit);
        for claimed in claimed {
            // An entry that was not renewed in time may be delivered again to the worker that is still running it.
            let Some(guard) = entries.insert(&claimed.entry) else {
                continue;
            };
            let claim = if claimed.job.work.is_caused_by_client() {
                let Some(claim) = self.slots.claim(&claimed.job.user, self.lane) else {
                    self.refuse(claimed, guard);
                    continue;
                };
                Some(claim)
            } else {
                None
            };
            let slot = claim.as_ref().and_then(UserClaim::try_slot);
            let is_ready = claim.is_none() || slot.is_some();
            let admission = Admission {
                permits: Arc::clone(permits),
                permit: is_ready
                    .then(|| permit.take().or_else(|| try_permit(permits)))
                    .flatten(),
                claim,
                slot,
            };
            self.start(claimed, admission, guard);
        }
    }

    fn start(&self, claimed: ClaimedJob, mut admission: Admission, guard: EntryGuard) {
        let (span, process) = (span_of(&claimed), process_span(self.lane, &claimed.job));
        let runner = Arc::clone(&self.runner);
        let (lane, metrics) = (self.lane, self.metrics.clone());
        let run = async move {
            let waiting = metrics.waiting(lane);
            let admitted = timeout_at(claimed.deadline, admission.admit()).await;
            drop(waiting);
            if let Ok(Some(permit)) = admitted {
                let running = metrics.running(lane);
                runner.run(lane, claimed, permit).await;
                drop(running);
            } else {
                runner.expire(lane, &claimed).await;
            }
            drop((guard, admission));
        };
        self.tasks.each("job", run.instrument(process).instrument(span));
    }

    /// Refuses a job of a user that has the maximum of waiting jobs.
    fn refuse(&self, claimed: ClaimedJob, guard: EntryGuard) {
        let (span, process) = (span_of(&claimed), process_span(self.lane, &claimed.job));
        let runner = Arc::clone(&self.runner);
        let lane = self.lane;
        let refuse = async move {
            runner.refuse(lane, &claimed).await;
            drop(guard);
        };
        self.tasks.each("job", refuse.instrument(process).instrument(span));
    }
}

impl Admission {
    /// Waits for what the job has not acquired yet: first a slot of its user, then a permit of the lane.
    async fn admit(&mut self) -> Option<LanePermit> {
        let slot = match (&self.claim, self.slot.take()) {
            (Some(claim), None) => Some(claim.slot().await?),
            (_, slot) => slot,
        };
        let permit = match self.permit.take() {
            Some(permit) => permit,
            None => Arc::clone(&self.permits).acquire_owned().await.ok()?,
        };
        Some(LanePermit::new(permit, slot))
    }
}

fn span_of(claimed: &ClaimedJob) -> tracing::Span {
    tracing::info_span!(
        "job",
        job = %claimed.job.id,
        user = %claimed.job.user,
        command = claimed.job.work.name(),
        trace = claimed.job.traceparent.trace_id(),
        gateway = %claimed.job.node,
    )
}

fn try_permit(permits: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(permits).try_acquire_owned().ok()
}

/// Maximum wait of a claim that finds no job; a drain waits for it.
const CLAIM_WAIT: Duration = Duration::from_secs(1);

/// Interval at which a worker without a free permit marks its lane as served.
const MARK_INTERVAL: Duration = Duration::from_secs(1);

/// Backoff of failed claims.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_CAP: Duration = Duration::from_secs(2);
