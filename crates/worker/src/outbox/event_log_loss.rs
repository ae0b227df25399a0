//! Detection of lost event logs. Redis may restart empty, or fail over to a replica that is behind: recent events are then published
//! again, and the bus drops those that it still has.

use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, Events};
use lifecycle::{OutageReporter, PeriodicLoop};
use protocol::cluster::offset::Epoch;
use protocol::id::UserId;
use store::Outbox;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::outage::report_failure;

/// Watches the epoch of a probe user's event log until the node drains. The epoch changes when the event logs were lost.
pub(crate) async fn watch_memory(
    events: Arc<dyn Events>,
    outbox: Arc<dyn Outbox>,
    metrics: Metrics,
    drain: CancellationToken,
) {
    let probe = probe();
    let outage = OutageReporter::new("look whether the bus remembers");
    let mut known: Option<Epoch> = None;
    let mut ticks = PeriodicLoop::new(PERIOD, drain);
    while ticks.next().await {
        let epoch = match epoch_of(&*events, &probe).await {
            Ok(epoch) => epoch,
            Err(error) => {
                report_failure(&outage, &error);
                continue;
            }
        };
        outage.succeeded();
        if known.is_some() && known != epoch {
            match outbox.resend_recent().await {
                Ok(count) => {
                    tracing::warn!(
                        events = count,
                        "the bus has lost its memory: recent events are published again"
                    );
                    metrics.resent(count);
                }
                Err(error) => {
                    report_failure(&outage, &error);
                    continue;
                }
            }
        }
        known = epoch;
    }
}

async fn epoch_of(events: &dyn Events, user: &UserId) -> Result<Option<Epoch>, BusError> {
    let offsets = events.offsets(std::slice::from_ref(user)).await?;
    Ok(offsets.into_iter().next().map(|offset| offset.epoch))
}

#[expect(clippy::expect_used, reason = "printable ASCII")]
fn probe() -> UserId {
    UserId::new("postern worker probe").expect("the name is an id")
}

const PERIOD: Duration = Duration::from_secs(5);
