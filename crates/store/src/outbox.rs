//! Outbox: events that are committed and not yet published.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::Epoch;
use protocol::id::UserId;
use telemetry::trace;

use crate::StoreError;

/// Outbox. The transactions of the other roles insert rows; a relay publishes them in the order of their ids, one relay per user
/// at a time.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Hands a user's unsent events to `publisher`, oldest first, and marks each accepted event as sent. Where the event log is
    /// unrestored, the events that were sent in the last five minutes are handed over again before anything newer. Stops at the
    /// first refusal; the rest remains unsent. Waits for another relay of the same user.
    ///
    /// # Errors
    /// [`StoreError`]; an event may have been published and not marked, and will be published again.
    async fn relay_user(&self, user: &UserId, publisher: &dyn Publisher) -> Result<Relayed, StoreError>;

    /// Restores a user's event log, if it is unrestored, as [`Outbox::relay_user`] does before it hands over newer events.
    ///
    /// # Errors
    /// As [`Outbox::relay_user`].
    async fn restore_user(&self, user: &UserId, publisher: &dyn Publisher) -> Result<Relayed, StoreError>;

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

    /// Users with events that were sent in the last five minutes, in an order of the store and after the user `after`; at most
    /// `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn users_with_recent_events(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<UserId>, StoreError>;

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Relayed {
    /// Number of unsent events that the publisher accepted.
    pub sent: u64,
    /// Number of events from before that the publisher accepted again, as its event log is restored.
    pub resent: u64,
    /// True if the publisher refused an event, or one is of a newer version, so that some are left.
    pub stopped: bool,
}

/// Destination of relayed events, with an event log per user.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Publishes one event, as part of the restore of this epoch where one runs; repeats are possible.
    ///
    /// # Errors
    /// [`PublishError`] if the event was not, or not certainly, accepted.
    async fn publish(
        &self,
        user: &UserId,
        event: &Envelope,
        restored: Option<&Epoch>,
    ) -> Result<Publication, PublishError>;

    /// Epoch of the user's event log if it is unrestored.
    ///
    /// # Errors
    /// [`PublishError`] if that is not known.
    async fn unrestored_epoch(&self, user: &UserId) -> Result<Option<Epoch>, PublishError>;

    /// Marks the user's event log as restored. False if it has another epoch by now.
    ///
    /// # Errors
    /// [`PublishError`] if it is not, or not certainly, marked.
    async fn mark_restored(&self, user: &UserId, epoch: &Epoch) -> Result<bool, PublishError>;
}

/// Outcome of [`Publisher::publish`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publication {
    /// The event is in the event log.
    Accepted,
    /// The event log is unrestored, and the event is not in it.
    Unrestored,
}

/// The publisher did not accept an event and has reported the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event was not published")]
pub struct PublishError;
