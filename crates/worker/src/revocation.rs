//! Grants on their way back to the platforms: queued with the unlink that ended them, tried until the platform has taken them.

mod attempt;
mod end_grant;
mod retry_delay;

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Clock, Entropy, Tasks};
use protocol::account::AccountType;
use protocol::id::WorkerId;
use store::vault::Vault;
use store::{Accounts, Pauses, PlatformCapacity, TaskQueue};
use tokio::sync::Notify;

use self::attempt::Revoker;
use crate::metrics::Metrics;
use crate::outage::Outage;
use crate::pace::Pace;
use crate::platform::{Offered, PlatformPermits};
use crate::settings::PlatformConcurrency;

/// Leases due revocations and tries them.
pub(crate) struct Revocations {
    pub(crate) worker: WorkerId,
    pub(crate) queue: Arc<dyn TaskQueue>,
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) pauses: Arc<dyn Pauses>,
    pub(crate) offered: Offered,
    pub(crate) vault: Arc<Vault>,
    /// A revocation may have been queued by this worker. The others find it within a second.
    pub(crate) wake: Arc<Notify>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
}

impl Revocations {
    /// Until the node drains.
    pub(crate) async fn run(self) {
        let revoker = Arc::new(Revoker {
            queue: Arc::clone(&self.queue),
            accounts: self.accounts,
            pauses: self.pauses,
            offered: self.offered,
            vault: self.vault,
            clock: self.clock,
            entropy: self.entropy,
            metrics: self.metrics.clone(),
        });
        let permits = PlatformPermits::new(AT_ONCE, self.metrics);
        let outage = Outage::of("lease revocations");
        let mut pace = Pace::new(PERIOD, self.tasks.soft());
        while pace.next_or(&self.wake).await {
            let capacities = AccountType::ALL.map(|platform| PlatformCapacity {
                platform,
                permits: permits.available(platform),
            });
            let leased = match self.queue.lease_tasks(&self.worker, &capacities, LEASE).await {
                Ok(leased) => leased,
                Err(error) => {
                    outage.met(&error);
                    continue;
                }
            };
            outage.over();
            for task in leased {
                let Some(permit) = permits.try_acquire(task.revocation.account) else {
                    continue;
                };
                let revoker = Arc::clone(&revoker);
                self.tasks.each("revocation", async move {
                    revoker.revoke(task).await;
                    drop(permit);
                });
            }
        }
    }
}

const PERIOD: Duration = Duration::from_secs(1);

/// Revocations at each platform: one that hangs delays those to no other.
const AT_ONCE: PlatformConcurrency = PlatformConcurrency { running: 4, waiting: 0 };

/// Longer than a try may take (`attempt::PATIENCE`) and its outcome to be stored.
const LEASE: Duration = Duration::from_secs(60);
