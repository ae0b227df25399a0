//! Parked links that nobody has confirmed in time: their grants are given back.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::Entropy;
use store::{PendingLinks, StoreError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::call::unasked;
use crate::outage::Outage;
use crate::pace::Pace;

/// Looks each second until the node drains, also for what a worker left behind that is gone. `revocations` is told when there is
/// work for it.
pub(crate) async fn give_back_unconfirmed(
    parking: Arc<dyn PendingLinks>,
    revocations: Arc<Notify>,
    entropy: Arc<dyn Entropy>,
    drain: CancellationToken,
) {
    let outage = Outage::of("end parked links");
    let mut pace = Pace::new(PERIOD, drain);
    while pace.next().await {
        match end_all(&*parking, &*entropy).await {
            Ok(0) => outage.over(),
            Ok(ended) => {
                outage.over();
                tracing::debug!(ended, "links that nobody has confirmed are given back");
                revocations.notify_one();
            }
            Err(error) => outage.met(&error),
        }
    }
}

/// As many as there are, but not for ever.
async fn end_all(parking: &dyn PendingLinks, entropy: &dyn Entropy) -> Result<usize, StoreError> {
    let mut ended = 0;
    while ended < AT_ONCE && parking.expire_pending_link(&unasked(entropy, PERIOD)).await? {
        ended += 1;
    }
    Ok(ended)
}

const PERIOD: Duration = Duration::from_secs(1);

const AT_ONCE: usize = 100;
