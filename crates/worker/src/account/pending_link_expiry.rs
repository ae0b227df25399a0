//! Expiry of pending links that were not confirmed in time: their grants are revoked.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::Entropy;
use store::{PendingLinks, StoreError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::call::background_receipt;
use crate::outage::Outage;
use crate::pace::Pace;

/// Expires pending links each second until the node drains, those of stopped workers too. `revocations` is notified when one was
/// queued.
pub(crate) async fn expire_pending_links(
    parking: Arc<dyn PendingLinks>,
    revocations: Arc<Notify>,
    entropy: Arc<dyn Entropy>,
    drain: CancellationToken,
) {
    let outage = Outage::of("expire pending links");
    let mut pace = Pace::new(PERIOD, drain);
    while pace.next().await {
        match end_all(&*parking, &*entropy).await {
            Ok(0) => outage.over(),
            Ok(ended) => {
                outage.over();
                tracing::debug!(ended, "pending links expired, revoking their grants");
                revocations.notify_one();
            }
            Err(error) => outage.met(&error),
        }
    }
}

/// Expires the overdue links, at most [`AT_ONCE`].
async fn end_all(parking: &dyn PendingLinks, entropy: &dyn Entropy) -> Result<usize, StoreError> {
    let mut ended = 0;
    while ended < AT_ONCE
        && parking
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
