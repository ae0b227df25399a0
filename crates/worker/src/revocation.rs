//! Grants on their way back to the platforms: queued with the unlink that ended them, tried until the platform has taken them.

mod pause;
mod revoke;

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Entropy, Tasks};
use protocol::id::WorkerId;
use store::vault::Vault;
use store::{Pauses, Queue};
use tokio::sync::{Notify, Semaphore};

use self::revoke::Revoker;
use crate::account::Offered;
use crate::metrics::Metrics;
use crate::outage::Outage;
use crate::pace::Pace;

/// Leases due revocations and tries them.
pub(crate) struct Revocations {
    pub(crate) worker: WorkerId,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) pauses: Arc<dyn Pauses>,
    pub(crate) offered: Offered,
    pub(crate) vault: Arc<Vault>,
    /// A revocation may have been queued by this worker. The others find it within a second.
    pub(crate) wake: Arc<Notify>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
}

impl Revocations {
    /// Until the node drains.
    pub(crate) async fn run(self) {
        let revoker = Arc::new(Revoker {
            queue: Arc::clone(&self.queue),
            pauses: self.pauses,
            offered: self.offered,
            vault: self.vault,
            entropy: self.entropy,
            metrics: self.metrics,
        });
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let outage = Outage::of("lease revocations");
        let mut pace = Pace::new(PERIOD, self.tasks.soft());
        while pace.next_or(&self.wake).await {
            let free = room.available_permits();
            if free == 0 {
                continue;
            }
            let leased = match self.queue.lease_tasks(&self.worker, free, LEASE).await {
                Ok(leased) => leased,
                Err(error) => {
                    outage.met(&error);
                    continue;
                }
            };
            outage.over();
            for task in leased {
                let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                    break;
                };
                let revoker = Arc::clone(&revoker);
                self.tasks.each("revocation", async move {
                    revoker.revoke(task).await;
                    drop(place);
                });
            }
        }
    }
}

const PERIOD: Duration = Duration::from_secs(1);

const AT_ONCE: usize = 4;

/// Longer than a try may take ([`revoke::PATIENCE`]) and its outcome to be stored.
const LEASE: Duration = Duration::from_secs(60);
