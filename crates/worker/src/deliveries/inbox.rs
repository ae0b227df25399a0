//! Reader of a bot's inbox: one worker at a time reads it under a lease, from the stored cursor, and delivers the updates to the users
//! who have linked their addressees.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{OutageReporter, PeriodicLoop};
use platforms::{AddressedNotification, ApiError, BotInbox};
use protocol::code::ErrorCode;
use protocol::fault::{Fault, chain};
use serde_json::Value;
use store::{InboxLease, Inboxes, Pauses, StoreError};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::addressed::Addressees;
use crate::metrics::{InboxReadLabel, Metrics};
use crate::outage::is_logged;
use crate::platform::rate_limit;
use crate::trace::{background_span, record_failure};

/// Reads one inbox whenever this worker holds its lease.
pub(crate) struct InboxReader {
    pub(crate) inbox: Arc<dyn BotInbox>,
    pub(crate) inboxes: Arc<dyn Inboxes>,
    pub(crate) pauses: Arc<dyn Pauses>,
    pub(crate) addressees: Addressees,
    pub(crate) metrics: Metrics,
}

impl InboxReader {
    /// Reads until the node drains.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let outage = OutageReporter::new("read the inbox of a bot");
        let mut ticks = PeriodicLoop::new(PERIOD, drain.clone());
        let more = Notify::new();
        while ticks.next_or_notified(&more).await {
            match self.read(&drain).await {
                Ok(InboxRead::NotDue) => {}
                Ok(InboxRead::All) => outage.succeeded(),
                Ok(InboxRead::Partial) => {
                    outage.succeeded();
                    more.notify_one();
                }
                Err(error) if is_logged(&error) => {
                    tracing::debug!(error = chain(&error), "inbox not read in an outage");
                }
                Err(error) => outage.failed(format_args!("{}: {}", error.code().as_str(), chain(&error))),
            }
        }
    }

    async fn read(&self, drain: &CancellationToken) -> Result<InboxRead, InboxError> {
        let platform = self.inbox.account_type();
        let Some(lease) = self.inboxes.lease_inbox(platform, LEASE).await? else {
            return Ok(InboxRead::NotDue);
        };
        let read = tokio::select! {
            read = timeout(READ_TIMEOUT, self.inbox.read(lease.cursor.as_ref())) => read,
            // The next worker continues from the same cursor.
            () = drain.cancelled() => {
                self.finish(&lease, None, Duration::ZERO).await?;
                return Ok(InboxRead::All);
            }
        };
        let read = read.unwrap_or_else(|elapsed| Err(ApiError::Unavailable(platform, elapsed.into())));
        self.metrics.inbox(platform, outcome(&read));
        match read {
            Ok(page) => {
                // Stored before the next read acknowledges the new cursor to the platform.
                self.deliver(&page.notifications).await?;
                let next = if page.more {
                    Duration::ZERO
                } else {
                    self.inbox.read_every()
                };
                self.finish(&lease, page.cursor.as_ref(), next).await?;
                Ok(if page.more { InboxRead::Partial } else { InboxRead::All })
            }
            Err(error) => {
                let wait = match &error {
                    ApiError::Throttled { wait, pause, .. } => {
                        rate_limit::apply(&*self.pauses, &self.metrics, platform, (*wait, *pause)).await;
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

    /// Delivers what was read, in a trace. The read itself has none: most reads find nothing, after seconds of waiting.
    async fn deliver(&self, notifications: &[AddressedNotification]) -> Result<(), StoreError> {
        if notifications.is_empty() {
            return Ok(());
        }
        let platform = self.inbox.account_type();
        let span = background_span("deliver inbox", platform);
        let delivery = self.addressees.deliver(platform, None, notifications, &[]);
        let delivered = delivery.instrument(span.clone()).await.map(drop);
        delivered.inspect_err(|error| record_failure(&span, error))
    }

    async fn finish(&self, lease: &InboxLease, cursor: Option<&Value>, next: Duration) -> Result<(), StoreError> {
        if !self.inboxes.finish_inbox(lease, cursor, next).await? {
            tracing::debug!(platform = %lease.platform, "inbox lease lost, another worker repeats the read");
        }
        Ok(())
    }
}

/// Result of one attempt to read an inbox.
enum InboxRead {
    /// The inbox is not due, or another worker holds its lease.
    NotDue,
    /// All updates were read.
    All,
    /// Further updates remain.
    Partial,
}

fn outcome<T>(read: &Result<T, ApiError>) -> InboxReadLabel {
    match read {
        Ok(_) => InboxReadLabel::Ok,
        Err(ApiError::Refused(_)) => InboxReadLabel::Refused,
        Err(ApiError::Throttled { .. }) => InboxReadLabel::Throttled,
        Err(ApiError::Unavailable(..)) => InboxReadLabel::Failed,
    }
}

/// Error of an inbox read.
#[derive(Debug, thiserror::Error)]
enum InboxError {
    #[error(transparent)]
    Platform(#[from] ApiError),
    #[error("store the updates of an inbox")]
    Store(#[from] StoreError),
}

impl Fault for InboxError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Platform(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}

const PERIOD: Duration = Duration::from_millis(500);

/// Lease of an inbox. It expires when its worker stops.
const LEASE: Duration = Duration::from_secs(15);

/// Limit of one read, within the lease, so that no other worker reads at the same time.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause after a refused token, which does not become valid by itself.
const AFTER_REFUSAL: Duration = Duration::from_mins(5);

/// Pause after a failed read.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
