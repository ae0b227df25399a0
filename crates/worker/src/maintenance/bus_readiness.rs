//! Readiness condition of the bus.

use std::sync::Arc;
use std::time::Duration;

use bus::Liveness;
use lifecycle::Condition;
use tokio_util::sync::CancellationToken;

use crate::pace::Pace;

/// Copies the liveness of the bus into the node's readiness each second, until the node drains.
pub(crate) async fn watch_bus(bus: Arc<dyn Liveness>, live: Condition, drain: CancellationToken) {
    let mut pace = Pace::new(PERIOD, drain);
    while pace.next().await {
        live.set(bus.is_live());
    }
}

const PERIOD: Duration = Duration::from_secs(1);
