//! Outbox: events that are committed and not yet published.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::id::UserId;
use telemetry::trace;

use crate::StoreError;

/// Outbox. The transactions of the other roles insert rows; a relay publishes them in the order of their ids, one relay per user
/// at a time.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Hands a user's unsent events to `publisher`, oldest first, and marks each accepted event as sent. Stops at the first
    /// refusal; the rest remains unsent. Waits for another relay of the same user.
    ///
    /// # Errors
    /// [`StoreError`]; an event may have been published and not marked, and will be published again.
    async fn relay_user(&self, user: &UserId, publisher: &dyn Publisher) -> Result<Relayed, StoreError>;

    /// Marks events as sent that [`crate::Alerts::raise_alerts`] committed and its caller published.
    ///
    /// # Errors
    /// [`StoreError`]: the events will be published again.
    async fn mark_sent(&self, sent: &[SentEvent]) -> Result<(), StoreError>;

    /// Users with events that are unsent for more than a second, which a crash left behind; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn users_with_unsent_events(&self, limit: usize) -> Result<Vec<UserId>, StoreError>;

    /// Marks the events of the last five minutes as unsent, after Redis lost data. Deduplication in Redis drops those that it
    /// still has.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn resend_recent(&self) -> Result<u64, StoreError>;

    /// Measures the unsent events of all users.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn outbox_backlog(&self) -> Result<OutboxBacklog, StoreError>;
}

/// Number of an event in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxId(pub(crate) i64);

/// Event that was published and is not marked as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentEvent {
    /// Number of the event.
    pub id: OutboxId,
    /// Time from its commit to its publication.
    pub age: Duration,
}

/// Unsent events of all users.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxBacklog {
    /// Number of events; counted up to [`OutboxBacklog::MAX_EVENTS`].
    pub events: u64,
    /// Time since the oldest one was committed; zero if there is none.
    pub oldest: Duration,
}

impl OutboxBacklog {
    /// Bound of the count, and so of what a measurement reads.
    pub const MAX_EVENTS: u32 = 10_000;
}

/// Event with the trace context of the transaction that queues it, which the relay continues.
pub(crate) fn in_trace(event: &Envelope) -> Cow<'_, Envelope> {
    match trace::current() {
        Some(context) => Cow::Owned(Envelope {
            traceparent: Some(context),
            ..event.clone()
        }),
        None => Cow::Borrowed(event),
    }
}

/// Result of [`Outbox::relay_user`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relayed {
    /// Number of events that the publisher accepted.
    pub sent: u64,
    /// True if the publisher refused an event, so that some are left.
    pub stopped: bool,
}

/// Destination of relayed events.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Publishes one event; repeats are possible.
    ///
    /// # Errors
    /// [`PublishError`] if the event was not, or not certainly, accepted.
    async fn publish(&self, user: &UserId, event: &Envelope) -> Result<(), PublishError>;
}

/// The publisher did not accept an event and has reported the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event was not published")]
pub struct PublishError;
