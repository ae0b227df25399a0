//! Once a minute, the deadlines of sessions are copied from Redis, where activity moves them, to where they survive.

use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, SessionState};
use lifecycle::{OutageReporter, PeriodicLoop};
use protocol::fault::chain;
use store::StoreError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::key;

/// Copies until the node drains.
pub(crate) async fn save_deadlines(
    store: Arc<dyn store::SessionRecords>,
    bus: Arc<dyn bus::SessionRegistry>,
    drain: CancellationToken,
) {
    let outage = OutageReporter::new("copy the deadlines of sessions");
    let mut ticks = PeriodicLoop::new(PERIOD, drain);
    while ticks.next().await {
        match copy_all(&*store, &*bus).await {
            Ok(()) => outage.succeeded(),
            Err(error) => outage.failed(chain(&error)),
        }
    }
}

async fn copy_all(store: &dyn store::SessionRecords, bus: &dyn bus::SessionRegistry) -> Result<(), CopyError> {
    let begun = Instant::now();
    let mut after = None;
    loop {
        let page = store.live_sessions(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(store.mark_deadlines_saved(begun.elapsed()).await?);
        };
        after = Some(last.clone());
        let keys: Vec<_> = page.iter().map(|(user, session)| key(user, session)).collect();
        let states = bus.check_ttl(&keys).await?;
        let left = page.into_iter().zip(states).filter_map(|(session, state)| match state {
            SessionState::Alive(alive) => Some((session, alive.left)),
            SessionState::Ending(_) | SessionState::Ended | SessionState::Unknown => None,
        });
        let left: Vec<_> = left.collect();
        store.save_deadlines(&left).await?;
    }
}

/// Why deadlines were not copied.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
}

const PERIOD: Duration = Duration::from_secs(60);
/// How many sessions are looked at together.
const PAGE: usize = 500;
