//! Confirmation of committed session ends: written to Redis by the job that committed them, and by every worker until Redis has them.

use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, EndAllSessions};
use futures_util::future::try_join_all;
use futures_util::{StreamExt, stream};
use lifecycle::{OutageReporter, PeriodicLoop};
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::id::UserId;
use store::StoreError;
use tokio_util::sync::CancellationToken;

use super::{END_TTL, key};
use crate::outage::report_failure;

/// Writes unconfirmed ends to Redis once a second, until the node drains.
pub(crate) async fn confirm_ends(
    store: Arc<dyn store::SessionRecords>,
    bus: Arc<dyn bus::SessionRegistry>,
    drain: CancellationToken,
) {
    let outage = OutageReporter::new("confirm session ends");
    let mut ticks = PeriodicLoop::new(PERIOD, drain);
    while ticks.next().await {
        match confirm_all(&*store, &*bus).await {
            Ok(()) => outage.succeeded(),
            Err(error) => report_failure(&outage, &error),
        }
    }
}

async fn confirm_all(store: &dyn store::SessionRecords, bus: &dyn bus::SessionRegistry) -> Result<(), ConfirmError> {
    let users = store.users_with_unconfirmed_ends(USERS).await?;
    let confirmed: Vec<_> = stream::iter(users)
        .map(async |user| confirm(store, bus, &user).await)
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await;
    confirmed.into_iter().collect()
}

/// Writes a user's committed ends to Redis and marks them as confirmed. Idempotent.
pub(super) async fn confirm<S, B>(store: &S, bus: &B, user: &UserId) -> Result<(), ConfirmError>
where
    S: store::SessionRecords + ?Sized,
    B: bus::SessionRegistry + ?Sized,
{
    let ends = store.unconfirmed_ends(user).await?;
    let writes = ends
        .sessions
        .iter()
        .map(async |(session, ended_at)| bus.end(&key(user, session), *ended_at, END_TTL).await);
    try_join_all(writes).await?;
    if let Some(all) = &ends.all {
        let all = EndAllSessions {
            ended_at: all.ended_at,
            except: all.except.clone(),
        };
        bus.end_all(user, &all, END_TTL).await?;
    }
    Ok(store.confirm_ends(user, &ends).await?)
}

/// Failure to confirm committed ends. A later run retries it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfirmError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
}

impl Fault for ConfirmError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            Self::Bus(error) => error.code(),
        }
    }
}

const PERIOD: Duration = Duration::from_secs(1);

/// Users per run; the next run continues with the others.
const USERS: usize = 256;

/// Users whose ends are confirmed concurrently.
const CONCURRENCY: usize = 4;
