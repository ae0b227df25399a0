//! Readiness condition of the bus.

use std::sync::Arc;
use std::time::Duration;

use bus::Liveness;
use lifecycle::{Condition, PeriodicLoop};
use tokio_util::sync::CancellationToken;

/// Copies the liveness of the bus into the node's readiness each second, until the node drains.
pub(crate) async fn watch_bus(bus: Arc<dyn Liveness>, live: Condition, drain: CancellationToken) {
    let mut ticks = PeriodicLoop::new(PERIOD, drain);
    while ticks.next().await {
        live.set(bus.is_live());
    }
}

const PERIOD: Duration = Duration::from_secs(1);
