//! Expiry of pending links that were not confirmed in time: their grants are revoked.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Entropy, OutageReporter, PeriodicLoop};
use store::{PendingLinks, StoreError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::call::background_receipt;
use crate::outage::report_failure;

/// Expires pending links each second until the node drains, those of stopped workers too. `revocations` is notified when one was
/// queued.
pub(crate) async fn expire_pending_links(
    pending_links: Arc<dyn PendingLinks>,
    revocations: Arc<Notify>,
    entropy: Arc<dyn Entropy>,
    drain: CancellationToken,
) {
    let outage = OutageReporter::new("expire pending links");
    let mut ticks = PeriodicLoop::new(PERIOD, drain);
    while ticks.next().await {
        match end_all(&*pending_links, &*entropy).await {
            Ok(0) => outage.succeeded(),
            Ok(ended) => {
                outage.succeeded();
                tracing::debug!(ended, "pending links expired, revoking their grants");
                revocations.notify_one();
            }
            Err(error) => report_failure(&outage, &error),
        }
    }
}

/// Expires the overdue links, at most [`AT_ONCE`].
async fn end_all(pending_links: &dyn PendingLinks, entropy: &dyn Entropy) -> Result<usize, StoreError> {
    let mut ended = 0;
    while ended < AT_ONCE
        && pending_links
            .expire_pending_link(&background_receipt(entropy, PERIOD))
            .await?
    {
        ended += 1;
    }
    Ok(ended)
}

const PERIOD: Duration = Duration::from_secs(1);

/// Maximum per period.
const AT_ONCE: usize = 100;
