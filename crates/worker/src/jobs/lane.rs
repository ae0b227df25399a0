//! One lane: claims as many jobs as there are free seats, and starts each.

use std::sync::Arc;
use std::time::Duration;

use bus::{Claimed, Jobs};
use lifecycle::{Backoff, Entropy, Latch, Tasks};
use protocol::cluster::job::Lane;
use protocol::id::WorkerId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::renew::{Held, renew};
use super::run::Runner;
use crate::metrics::Metrics;
use crate::outage::Outage;

/// Reads one lane.
pub(crate) struct LaneServer {
    pub(crate) lane: Lane,
    pub(crate) worker: WorkerId,
    pub(crate) seats: usize,
    pub(crate) jobs: Arc<dyn Jobs>,
    pub(crate) runner: Arc<Runner>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
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
        let seats = Arc::new(Semaphore::new(self.seats));
        let drain = self.tasks.soft();
        let outage = Outage::of("claim jobs");
        let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_CAP);
        while let Some(free) = free_seats(&seats, &drain).await {
            // Never dropped half-way: what it had claimed by then would count as lost by this worker.
            let claim = self.jobs.claim(self.lane, &self.worker, free.num_permits(), CLAIM_WAIT);
            match claim.await {
                Ok(claimed) => {
                    if let Some(latch) = latch.take() {
                        latch.release();
                    }
                    outage.over();
                    backoff.reset();
                    self.start(claimed, free, held);
                }
                Err(error) => {
                    outage.met(&error);
                    let wait = backoff.next(&*self.entropy);
                    let _drained_or_not = tokio::time::timeout(wait, drain.cancelled()).await;
                }
            }
        }
    }

    fn start(&self, claimed: Vec<Claimed>, mut free: OwnedSemaphorePermit, held: &Held) {
        for claimed in claimed {
            // An entry that was not renewed in time comes back to the very worker that still has it in hand.
            let Some(hold) = held.hold(&claimed.entry) else {
                continue;
            };
            let Some(seat) = free.split(1) else {
                return;
            };
            let span = tracing::info_span!(
                "job",
                job = %claimed.job.id,
                user = %claimed.job.user,
                command = claimed.job.work.name(),
                trace = claimed.job.traceparent.trace_id(),
                node = %claimed.job.node,
            );
            let runner = Arc::clone(&self.runner);
            let lane = self.lane;
            let in_hand = self.metrics.running(lane);
            let run = async move {
                runner.run(lane, claimed).await;
                drop((hold, seat, in_hand));
            };
            self.tasks.each("job", run.instrument(span));
        }
    }
}

/// All free seats, at least one; none when the node drains.
async fn free_seats(seats: &Arc<Semaphore>, drain: &CancellationToken) -> Option<OwnedSemaphorePermit> {
    let mut free = tokio::select! {
        biased;
        () = drain.cancelled() => return None,
        seat = Arc::clone(seats).acquire_owned() => seat.ok()?,
    };
    while let Ok(another) = Arc::clone(seats).try_acquire_owned() {
        free.merge(another);
    }
    Some(free)
}

/// A claim that finds nothing returns after this long; a drain waits for it.
const CLAIM_WAIT: Duration = Duration::from_secs(1);

const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_CAP: Duration = Duration::from_secs(2);
