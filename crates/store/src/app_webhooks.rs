//! Webhooks to the application: queued with their events, sent by one worker at a time, and kept for an operator after the last try.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::{EventId, UserId, WorkerId};
use protocol::json::Json;
use protocol::time::Timestamp;

use crate::StoreError;

/// Webhooks to the application that are not accepted yet. The transactions of the other roles queue them with their events, where the
/// store was set up to. One worker at a time holds the lease of a webhook; a worker that lost its lease can change nothing (fencing).
#[async_trait]
pub trait AppWebhooks: Send + Sync {
    /// Leases due webhooks for `ttl`, longest due first, at most `limit`. A webhook is due once the first try of the user's webhook
    /// before it has ended, or [`MAX_WAIT_FOR_EARLIER`] after it was queued.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn lease_app_webhooks(
        &self,
        worker: &WorkerId,
        limit: u32,
        ttl: Duration,
    ) -> Result<Vec<AppWebhook>, StoreError>;

    /// Removes a webhook that the receiver accepted. False if the lease was lost.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; the webhook is then sent again, under the same id.
    async fn finish_app_webhook(&self, webhook: &AppWebhookId) -> Result<bool, StoreError>;

    /// Schedules a webhook for another try, or gives it up. False if the lease was lost.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn retry_app_webhook(&self, webhook: &AppWebhookId, next: NextTry, reason: &str) -> Result<bool, StoreError>;

    /// Measures the stored webhooks.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn app_webhook_backlog(&self) -> Result<AppWebhookBacklog, StoreError>;
}

/// Leased webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppWebhook {
    /// Row and fencing token.
    pub id: AppWebhookId,
    /// Id of the event, the same for every try.
    pub event: EventId,
    /// User of the event.
    pub user: UserId,
    /// Name of the type.
    pub kind: String,
    /// Payload of the event.
    pub data: Json,
    /// Time of its commit.
    pub created_at: Timestamp,
    /// Number of earlier tries since it was queued, or last retried by an operator.
    pub tries: u32,
}

/// Identity of a leased webhook: a later lease has a higher fencing token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppWebhookId {
    /// Row id.
    pub row: i64,
    /// Fencing token.
    pub fence: i64,
}

/// Consequence of a failed try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextTry {
    /// Another try after this time.
    After(Duration),
    /// None: the webhook is kept for an operator.
    Never,
}

/// Stored webhooks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AppWebhookBacklog {
    /// Webhooks that are not accepted and not given up; counted up to [`AppWebhookBacklog::MAX_WAITING`].
    pub waiting: u64,
    /// Time since the oldest of them was queued; zero if there is none.
    pub oldest: Duration,
    /// Webhooks that were given up; counted up to [`AppWebhookBacklog::MAX_DEAD`].
    pub dead: u64,
}

impl AppWebhookBacklog {
    /// Bound of the count of waiting webhooks.
    pub const MAX_WAITING: u32 = 10_000;
    /// Bound of the count of webhooks that were given up.
    pub const MAX_DEAD: u32 = 1_000;
}

/// Limit of tries of a webhook: then it is given up, also where the worker of the last try did not return it.
pub const APP_WEBHOOK_TRIES: u32 = 10;

/// Longest wait of a webhook for the first try of an earlier one of its user: longer than a try takes.
pub(crate) const MAX_WAIT_FOR_EARLIER: Duration = Duration::from_secs(45);

/// Reason of a webhook whose last lease expired.
pub(crate) const LAST_LEASE_EXPIRED: &str = "the last lease expired";
