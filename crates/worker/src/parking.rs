//! Parked links that nobody has confirmed in time: their grants are given back.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::Entropy;
use protocol::cluster::trace::Traceparent;
use protocol::id::{ConnectionId, JobId, SessionId};
use store::vault::Sealed;
use store::{Parking, Receipt, StoreError};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::outage::Outage;
use crate::pace::Pace;

/// Looks each second until the node drains, also for what a worker left behind that is gone. `revocations` is told when there is
/// work for it.
pub(crate) async fn give_back_unconfirmed(
    parking: Arc<dyn Parking>,
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
async fn end_all(parking: &dyn Parking, entropy: &dyn Entropy) -> Result<usize, StoreError> {
    let mut ended = 0;
    while ended < AT_ONCE && parking.end_parked_link(&by_the_clock(entropy)).await? {
        ended += 1;
    }
    Ok(ended)
}

/// For the audit log: nobody asked, and nobody asks for an answer.
#[expect(clippy::expect_used, reason = "a word and a token are printable ASCII")]
fn by_the_clock(entropy: &dyn Entropy) -> Receipt {
    Receipt {
        job: JobId::new(entropy.token()).expect("a token is an id"),
        session: SessionId::new(NOBODY).expect("a word is an id"),
        connection: ConnectionId::new(NOBODY).expect("a word is an id"),
        origin: None,
        traceparent: Traceparent::begin(u128::from_be_bytes(entropy.bytes()), entropy.u64()),
        idempotency: None,
        answer: Sealed::from_bytes(Vec::new()),
        keep: Duration::ZERO,
        deadline: Instant::now() + PERIOD,
    }
}

/// In the audit log, in the place of a socket.
const NOBODY: &str = "worker";

const PERIOD: Duration = Duration::from_secs(1);

const AT_ONCE: usize = 100;
