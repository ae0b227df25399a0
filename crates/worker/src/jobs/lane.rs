//! One lane: claims jobs while a concurrency permit is free, and starts each. A job of a user that has enough in hand waits here,
//! without a permit, while its lease is renewed.

use std::sync::Arc;
use std::time::Duration;

use bus::{ClaimedJob, Jobs};
use lifecycle::{Backoff, Entropy, Latch, Tasks};
use protocol::cluster::job::Lane;
use protocol::id::WorkerId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::renew::{Held, Hold, renew};
use super::run::Runner;
use super::slots::{Place, UserSlots};
use crate::call::LanePermit;
use crate::metrics::Metrics;
use crate::outage::Outage;

/// Reads one lane.
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

/// What a claimed job has, and what it still has to wait for.
struct Entrance {
    concurrency: Arc<Semaphore>,
    /// None where the job is not counted for its user.
    place: Option<Place>,
    slot: Option<OwnedSemaphorePermit>,
    permit: Option<OwnedSemaphorePermit>,
}

impl LaneServer {
    /// Until the node drains, and then until what was claimed is done. The latch is released by the first claim that works.
    pub(crate) async fn serve(self, latch: Latch) {
        let held = Held::default();
        let closed = CancellationToken::new();
        tokio::join!(
            async {
                self.claim_all(latch, &held).await;
                closed.cancel();
            },
            renew(&*self.jobs, self.lane, &self.worker, &held, &closed),
        );
    }

    async fn claim_all(&self, latch: Latch, held: &Held) {
        let mut latch = Some(latch);
        let concurrency = Arc::new(Semaphore::new(self.concurrency));
        let drain = self.tasks.soft();
        let outage = Outage::of("claim jobs");
        let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_CAP);
        while let Some(permit) = free_permit(&concurrency, &drain).await {
            // The other free permits are not held while this waits for jobs: a job that waits for its user's slot may need one.
            let most = 1 + concurrency.available_permits();
            // Never dropped half-way: what it had claimed by then would count as lost by this worker.
            match self.jobs.claim(self.lane, &self.worker, most, CLAIM_WAIT).await {
                Ok(claimed) => {
                    if let Some(latch) = latch.take() {
                        latch.release();
                    }
                    outage.over();
                    backoff.reset();
                    self.start_all(claimed, permit, &concurrency, held);
                }
                Err(error) => {
                    outage.met(&error);
                    let wait = backoff.next(&*self.entropy);
                    let _drained_or_not = tokio::time::timeout(wait, drain.cancelled()).await;
                }
            }
        }
    }

    fn start_all(
        &self,
        claimed: Vec<ClaimedJob>,
        permit: OwnedSemaphorePermit,
        concurrency: &Arc<Semaphore>,
        held: &Held,
    ) {
        let mut permit = Some(permit);
        for claimed in claimed {
            // An entry that was not renewed in time comes back to the very worker that still has it in hand.
            let Some(hold) = held.hold(&claimed.entry) else {
                continue;
            };
            let place = if claimed.job.work.is_caused_by_client() {
                let Some(place) = self.slots.enter(&claimed.job.user, self.lane) else {
                    self.refuse(claimed, hold);
                    continue;
                };
                Some(place)
            } else {
                None
            };
            let slot = place.as_ref().and_then(Place::try_slot);
            let is_ready = place.is_none() || slot.is_some();
            let entrance = Entrance {
                concurrency: Arc::clone(concurrency),
                permit: is_ready
                    .then(|| permit.take().or_else(|| another(concurrency)))
                    .flatten(),
                place,
                slot,
            };
            self.start(claimed, entrance, hold);
        }
    }

    fn start(&self, claimed: ClaimedJob, mut entrance: Entrance, hold: Hold) {
        let span = span_of(&claimed);
        let runner = Arc::clone(&self.runner);
        let (lane, metrics) = (self.lane, self.metrics.clone());
        let run = async move {
            let waiting = metrics.waiting(lane);
            let entered = timeout_at(claimed.deadline, entrance.pass()).await;
            drop(waiting);
            if let Ok(Some(permit)) = entered {
                let running = metrics.running(lane);
                runner.run(lane, claimed, permit).await;
                drop(running);
            } else {
                runner.give_up(lane, &claimed).await;
            }
            drop((hold, entrance));
        };
        self.tasks.each("job", run.instrument(span));
    }

    /// Answers a job of a user that has as many waiting as may wait.
    fn refuse(&self, claimed: ClaimedJob, hold: Hold) {
        let span = span_of(&claimed);
        let runner = Arc::clone(&self.runner);
        let lane = self.lane;
        let refuse = async move {
            runner.refuse(lane, &claimed).await;
            drop(hold);
        };
        self.tasks.each("job", refuse.instrument(span));
    }
}

impl Entrance {
    /// Waits for what the job does not have yet: first for a slot of its user, then for a permit of the lane.
    async fn pass(&mut self) -> Option<LanePermit> {
        let slot = match (&self.place, self.slot.take()) {
            (Some(place), None) => Some(place.slot().await?),
            (_, slot) => slot,
        };
        let permit = match self.permit.take() {
            Some(permit) => permit,
            None => Arc::clone(&self.concurrency).acquire_owned().await.ok()?,
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
        node = %claimed.job.node,
    )
}

/// A free permit; none when the node drains.
async fn free_permit(concurrency: &Arc<Semaphore>, drain: &CancellationToken) -> Option<OwnedSemaphorePermit> {
    tokio::select! {
        biased;
        () = drain.cancelled() => None,
        permit = Arc::clone(concurrency).acquire_owned() => permit.ok(),
    }
}

fn another(concurrency: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(concurrency).try_acquire_owned().ok()
}

/// A claim that finds nothing returns after this long; a drain waits for it.
const CLAIM_WAIT: Duration = Duration::from_secs(1);

const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_CAP: Duration = Duration::from_secs(2);
