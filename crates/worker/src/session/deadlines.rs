//! Copy of session deadlines, once a minute: from Redis, where activity extends them, to the store, which survives a loss of Redis.

use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, SessionState, SessionTtl};
use lifecycle::{OutageReporter, PeriodicLoop};
use store::{SessionDeadline, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::key;
use crate::outage::report_failure;

/// Copies deadlines once a minute, until the node drains.
pub(crate) async fn save_deadlines(
    store: Arc<dyn store::SessionRecords>,
    bus: Arc<dyn bus::SessionRegistry>,
    drain: CancellationToken,
) {
    let outage = OutageReporter::new("copy session deadlines");
    let mut ticks = PeriodicLoop::new(PERIOD, drain);
    while ticks.next().await {
        match copy_all(&*store, &*bus).await {
            Ok(()) => outage.succeeded(),
            Err(error) => report_failure(&outage, &error),
        }
    }
}

async fn copy_all(store: &dyn store::SessionRecords, bus: &dyn bus::SessionRegistry) -> Result<(), CopyError> {
    let started = Instant::now();
    let mut after = None;
    loop {
        let page = store.live_sessions(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(store.mark_deadlines_saved(started.elapsed()).await?);
        };
        after = Some(last.clone());
        let keys: Vec<_> = page.iter().map(|(user, session)| key(user, session)).collect();
        let states = bus.check_ttl(&keys).await?;
        let deadlines = page.into_iter().zip(states).filter_map(|(session, state)| match state {
            SessionState::Alive(alive) => Some((session, deadline(&alive))),
            SessionState::Ending(_) | SessionState::Ended | SessionState::Unknown => None,
        });
        let deadlines: Vec<_> = deadlines.collect();
        store.save_deadlines(&deadlines).await?;
    }
}

fn deadline(alive: &SessionTtl) -> SessionDeadline {
    SessionDeadline {
        left: alive.left,
        latest_expiry: alive.latest_token_expiry,
    }
}

/// Failure to copy deadlines.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
}

const PERIOD: Duration = Duration::from_secs(60);
/// Sessions per query.
const PAGE: usize = 500;
