//! Schedule of syncs: leases the accounts that are due, shared among all workers.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{OutageReporter, PeriodicLoop};
use protocol::account::AccountType;
use protocol::code::{ErrorCode, FaultClass};
use protocol::fault::{Fault, chain};
use protocol::id::UserId;
use store::{LeasedSync, PlatformCapacity};
use tokio::sync::Notify;
use tracing::{Instrument, Span};

use super::lease::LEASE;
use super::{SyncFailure, Syncer};
use crate::outage::{is_logged, report_failure};
use crate::platform::PlatformPermits;
use crate::settings::PlatformConcurrency;
use crate::trace::{background_span, record_failure};

/// Leases due accounts and syncs them.
pub(crate) struct Schedule(pub(crate) Syncer);

impl Schedule {
    /// Runs until the node drains.
    pub(crate) async fn run(self) {
        let Self(syncer) = self;
        let platforms = syncer.offered.all();
        let permits = PlatformPermits::new(AT_ONCE, syncer.metrics.clone());
        let freed = Arc::new(Notify::new());
        let tasks = syncer.tasks.clone();
        let outage = OutageReporter::new("lease due syncs");
        let mut ticks = PeriodicLoop::new(PERIOD, tasks.soft());
        while ticks.next_or_notified(&freed).await {
            let capacity = |platform: &AccountType| PlatformCapacity {
                platform: *platform,
                permits: permits.available(*platform),
            };
            let capacities: Vec<_> = platforms.iter().map(capacity).collect();
            let due = match syncer.syncs.lease_due_syncs(&capacities, LEASE).await {
                Ok(due) => due,
                Err(error) => {
                    report_failure(&outage, &error);
                    continue;
                }
            };
            outage.succeeded();
            let more = capacities.iter().any(|capacity| is_filled(capacity, &due));
            for taken in due {
                let Some(permit) = permits.try_acquire(taken.lease.account) else {
                    continue;
                };
                let (syncer, freed) = (syncer.clone(), Arc::clone(&freed));
                let span = background_span("sync", taken.lease.account);
                let sync = async move {
                    syncer.due(taken).await;
                    drop(permit);
                    if more {
                        freed.notify_one();
                    }
                };
                tasks.each("sync", sync.instrument(span));
            }
        }
    }
}

impl Syncer {
    async fn due(&self, taken: LeasedSync) {
        let (user, account) = (taken.lease.user.clone(), taken.lease.account);
        self.metrics.sync_lag(account, taken.late);
        if let Err(error) = self.sync(taken, None).await {
            report(&user, account, &error);
            record_failure(&Span::current(), &error);
        }
        self.relay.user(&user).await;
    }
}

/// Logs a failed sync: a platform or a dependency that fails as WARN; part of an outage, or a rate limit, each logged when it begins, as
/// DEBUG.
fn report(user: &UserId, platform: AccountType, error: &SyncFailure) {
    let code = error.code();
    let is_refusal = code == ErrorCode::PlatformRateLimited || code.fault_class() == FaultClass::Caller;
    let is_expected = is_refusal || is_logged(error);
    let (code, error) = (code.as_str(), chain(error));
    if is_expected {
        tracing::debug!(%user, %platform, code, error, "scheduled sync failed");
    } else {
        tracing::warn!(%user, %platform, code, error, "scheduled sync failed");
    }
}

/// Reports whether the platform may have further due accounts.
fn is_filled(capacity: &PlatformCapacity, due: &[LeasedSync]) -> bool {
    let of_platform = due.iter().filter(|taken| taken.lease.account == capacity.platform);
    capacity.permits > 0 && of_platform.count() == capacity.permits
}

const PERIOD: Duration = Duration::from_millis(500);

/// Concurrent scheduled syncs at each platform: a platform that hangs delays those of no other.
const AT_ONCE: PlatformConcurrency = PlatformConcurrency { running: 8, waiting: 0 };
