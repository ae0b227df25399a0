//! The inboxes of bots: read by one worker at a time, from where the last one ended, and delivered to whoever has linked whom it is
//! addressed to.

use std::sync::Arc;
use std::time::Duration;

use platforms::{ApiError, BotInbox};
use serde_json::Value;
use store::{InboxLease, Store, StoreError};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::addressed::Addressees;
use crate::metrics::Metrics;
use crate::outage::Outage;
use crate::pace::Pace;
use crate::platform::rate_limit;

/// Reads one inbox whenever this worker has its turn.
pub(crate) struct InboxReader {
    pub(crate) inbox: Arc<dyn BotInbox>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) addressees: Addressees,
    pub(crate) metrics: Metrics,
}

impl InboxReader {
    /// Until the node drains.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let outage = Outage::of("read the inbox of a bot");
        let mut pace = Pace::new(PERIOD, drain.clone());
        let more = Notify::new();
        while pace.next_or(&more).await {
            match self.read(&drain).await {
                Ok(Looked::NotDue) => {}
                Ok(Looked::Read) => outage.over(),
                Ok(Looked::More) => {
                    outage.over();
                    more.notify_one();
                }
                Err(error) => outage.met(&error),
            }
        }
    }

    async fn read(&self, drain: &CancellationToken) -> Result<Looked, InboxError> {
        let platform = self.inbox.account_type();
        let Some(lease) = self.store.lease_inbox(platform, LEASE).await? else {
            return Ok(Looked::NotDue);
        };
        let read = tokio::select! {
            read = timeout(PATIENCE, self.inbox.read(lease.cursor.as_ref())) => read,
            // The next worker goes on from the same place.
            () = drain.cancelled() => {
                self.finish(&lease, None, Duration::ZERO).await?;
                return Ok(Looked::Read);
            }
        };
        let read = read.unwrap_or_else(|elapsed| Err(ApiError::Unavailable(platform, elapsed.into())));
        self.metrics.inbox(platform, outcome(&read));
        match read {
            Ok(page) => {
                // Kept before the platform hears of the new place.
                self.addressees
                    .deliver(platform, None, &page.notifications, &[])
                    .await?;
                let next = if page.more {
                    Duration::ZERO
                } else {
                    self.inbox.read_every()
                };
                self.finish(&lease, page.cursor.as_ref(), next).await?;
                Ok(if page.more { Looked::More } else { Looked::Read })
            }
            Err(error) => {
                let wait = match &error {
                    ApiError::Throttled { wait, pause, .. } => {
                        rate_limit::heed(&*self.store, &self.metrics, platform, (*wait, *pause)).await;
                        *wait
                    }
                    ApiError::Refused(_) => AFTER_REFUSAL,
                    ApiError::Unavailable(..) => AFTER_FAILURE,
                };
                self.finish(&lease, None, wait).await?;
                Err(error.into())
            }
        }
    }

    async fn finish(&self, lease: &InboxLease, cursor: Option<&Value>, next: Duration) -> Result<(), StoreError> {
        if !self.store.finish_inbox(lease, cursor, next).await? {
            tracing::debug!(platform = %lease.platform, "the turn of an inbox was lost; another worker reads the same again");
        }
        Ok(())
    }
}

/// What became of a look.
enum Looked {
    /// Nothing is to be read yet, or another worker reads it.
    NotDue,
    /// To its end.
    Read,
    /// In part.
    More,
}

fn outcome<T>(read: &Result<T, ApiError>) -> &'static str {
    match read {
        Ok(_) => "ok",
        Err(ApiError::Refused(_)) => "refused",
        Err(ApiError::Throttled { .. }) => "throttled",
        Err(ApiError::Unavailable(..)) => "failed",
    }
}

/// Why an inbox was not read.
#[derive(Debug, thiserror::Error)]
enum InboxError {
    #[error(transparent)]
    Platform(#[from] ApiError),
    #[error("keep what an inbox had")]
    Store(#[from] StoreError),
}

const PERIOD: Duration = Duration::from_millis(500);

/// A worker that is silent for longer is taken for dead.
const LEASE: Duration = Duration::from_secs(15);

/// What is read later than this could be read by another meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// A token that was withdrawn does not come back by itself.
const AFTER_REFUSAL: Duration = Duration::from_mins(5);

const AFTER_FAILURE: Duration = Duration::from_secs(10);
