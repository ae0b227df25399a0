//! Webhooks to the application as an operator sees them: without their data.

use protocol::id::{EventId, UserId};
use protocol::time::Timestamp;
use serde::Serialize;

use super::TaskState;

/// Webhook that the application has not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppWebhookOverview {
    /// Number of the webhook.
    pub id: i64,
    /// `webhook-id` of its requests: the id of its event.
    pub event_id: EventId,
    /// User of the event.
    pub user: UserId,
    /// Name of its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// State.
    pub state: TaskState,
    /// Number of tries since it was queued, or last retried by an operator.
    pub tries: u32,
    /// Time at which it was queued.
    pub created_at: Timestamp,
    /// Time of the next try.
    pub due_at: Timestamp,
    /// Failure of the last try.
    pub last_error: Option<String>,
    /// Time at which it was given up.
    pub dead_at: Option<Timestamp>,
}

/// Selection of webhooks: those that meet each condition.
#[derive(Debug, Clone, Default)]
pub struct AppWebhookFilter {
    /// User of the event.
    pub user: Option<UserId>,
    /// Only webhooks that were given up.
    pub dead: bool,
    /// Only webhooks with a higher number.
    pub after: i64,
    /// Bound of the result, which is in the order of the numbers.
    pub limit: u32,
}

/// Change of a webhook by an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppWebhookChange {
    /// Another try at once, with all tries.
    Retry,
    /// Deletion.
    Discard,
}

/// Result of a change of a webhook by an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppWebhookChangeOutcome {
    /// The webhook is due, with all its tries, or deleted.
    Changed(AppWebhookOverview),
    /// Leased by a worker: nothing changed.
    Leased,
    /// No webhook has this number.
    Unknown,
}
