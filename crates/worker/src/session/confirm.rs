//! Ends that are committed are told to Redis until it has confirmed them, by whoever committed them and by every worker.

use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, EndAllSessions};
use futures_util::future::try_join_all;
use futures_util::{StreamExt, stream};
use lifecycle::{OutageReporter, PeriodicLoop};
use protocol::code::ErrorCode;
use protocol::fault::{Fault, chain};
use protocol::id::UserId;
use store::StoreError;
use tokio_util::sync::CancellationToken;

use super::{END_REMEMBERED, key};

/// Looks each second until the node drains for ends that Redis has not confirmed.
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
            Err(error) => outage.failed(chain(&error)),
        }
    }
}

async fn confirm_all(store: &dyn store::SessionRecords, bus: &dyn bus::SessionRegistry) -> Result<(), ConfirmError> {
    let users = store.users_with_unconfirmed_ends(USERS).await?;
    let confirmed: Vec<_> = stream::iter(users)
        .map(async |user| confirm(store, bus, &user).await)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    confirmed.into_iter().collect()
}

/// Tells Redis of a user's committed ends, and notes that it has confirmed them. Told twice, it changes nothing more.
pub(super) async fn confirm<S, B>(store: &S, bus: &B, user: &UserId) -> Result<(), ConfirmError>
where
    S: store::SessionRecords + ?Sized,
    B: bus::SessionRegistry + ?Sized,
{
    let ends = store.unconfirmed_ends(user).await?;
    let told = ends
        .sessions
        .iter()
        .map(async |(session, ended_at)| bus.end(&key(user, session), *ended_at, END_REMEMBERED).await);
    try_join_all(told).await?;
    if let Some(all) = &ends.all {
        let all = EndAllSessions {
            ended_at: all.ended_at,
            except: all.except.clone(),
        };
        bus.end_all(user, &all, END_REMEMBERED).await?;
    }
    Ok(store.confirm_ends(user, &ends).await?)
}

/// Why committed ends are not confirmed: they will be told again.
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

/// Users per look; the next one finds the others.
const USERS: usize = 256;

/// Users at once.
const AT_ONCE: usize = 4;
