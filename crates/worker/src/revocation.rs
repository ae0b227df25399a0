//! Revocation of grants at their platforms: queued with the unlink, and attempted until the platform has confirmed it.

mod attempt;
mod end_grant;
mod retry_delay;

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Clock, Entropy, OutageReporter, PeriodicLoop, Tasks};
use protocol::account::AccountType;
use protocol::id::WorkerId;
use store::vault::Vault;
use store::{Accounts, Pauses, PlatformCapacity, TaskQueue};
use tokio::sync::Notify;
use tracing::Instrument;

use self::attempt::Revoker;
use crate::metrics::Metrics;
use crate::outage::report_failure;
use crate::platform::{Offered, PlatformPermits};
use crate::settings::PlatformConcurrency;
use crate::trace::background_span;

/// Leases due revocations and attempts them.
pub(crate) struct Revocations {
    pub(crate) worker: WorkerId,
    pub(crate) queue: Arc<dyn TaskQueue>,
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) pauses: Arc<dyn Pauses>,
    pub(crate) offered: Offered,
    pub(crate) vault: Arc<Vault>,
    /// Notified when this worker may have queued a revocation. Other workers find it within a second.
    pub(crate) wake: Arc<Notify>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
}

impl Revocations {
    /// Leases and attempts revocations until the node drains.
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
        let outage = OutageReporter::new("lease revocations");
        let mut ticks = PeriodicLoop::new(PERIOD, self.tasks.soft());
        while ticks.next_or_notified(&self.wake).await {
            let capacities = AccountType::ALL.map(|platform| PlatformCapacity {
                platform,
                permits: permits.available(platform),
            });
            let leased = match self.queue.lease_tasks(&self.worker, &capacities, LEASE).await {
                Ok(leased) => leased,
                Err(error) => {
                    report_failure(&outage, &error);
                    continue;
                }
            };
            outage.succeeded();
            for task in leased {
                let Some(permit) = permits.try_acquire(task.revocation.account) else {
                    continue;
                };
                let revoker = Arc::clone(&revoker);
                let span = background_span("revocation", task.revocation.account);
                let revocation = async move {
                    revoker.revoke(task).await;
                    drop(permit);
                };
                self.tasks.each("revocation", revocation.instrument(span));
            }
        }
    }
}

const PERIOD: Duration = Duration::from_secs(1);

/// Concurrent revocations at each platform: a platform that hangs delays those of no other.
const AT_ONCE: PlatformConcurrency = PlatformConcurrency { running: 4, waiting: 0 };

/// Lease of a revocation: longer than an attempt may take (`attempt::TIMEOUT`) and its outcome needs to be stored.
const LEASE: Duration = Duration::from_secs(60);
