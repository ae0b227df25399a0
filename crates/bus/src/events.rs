//! Events: per user one sequence of offsets, one bounded event log, and one channel to the subscribed gateways.
//!
//! An event log that starts a new epoch is unrestored: the bus may have lost an earlier one. A worker then publishes the recent
//! events of the user again, in their sequence, and marks the log as restored; until then nothing else of the user's sequence is
//! published.

use std::sync::Arc;

use async_trait::async_trait;
use data_encoding::BASE64URL_NOPAD;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::{Epoch, Offset};
use protocol::id::{EventId, UserId};
use sha2::{Digest, Sha256};

use crate::BusError;
use crate::message_queue::ChannelMessages;

/// Event logs and channels of the users.
#[async_trait]
pub trait Events: Send + Sync {
    /// Assigns the next offset to an event, appends it to the log and publishes it to the subscribed gateways, in one atomic
    /// step. An alert first withdraws the hint that no alert is open.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the outcome is unknown; retry with the same envelope. With [`Repeats::Unrecorded`],
    /// the event may then be delivered twice. [`BusError::Busy`]: too many events of this user are being published.
    async fn publish_with(
        &self,
        user: &UserId,
        envelope: &Envelope,
        mode: PublishMode<'_>,
    ) -> Result<PublishOutcome, BusError>;

    /// Publishes events of one user in their sequence, as [`Events::publish_with`] does each; returns an outcome for each. From the first
    /// one that an unrestored log refuses on, none is published.
    ///
    /// # Errors
    /// As [`Events::publish_with`]; the outcome of all is unknown.
    async fn publish_all(
        &self,
        user: &UserId,
        events: &[(Envelope, Repeats)],
        phase: PublishPhase<'_>,
    ) -> Result<Vec<PublishOutcome>, BusError> {
        let mut outcomes = Vec::with_capacity(events.len());
        for (event, repeats) in events {
            let repeats = *repeats;
            let outcome = match outcomes.last() {
                Some(PublishOutcome::Unrestored) => PublishOutcome::Unrestored,
                _ => self.publish_with(user, event, PublishMode { repeats, phase }).await?,
            };
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// Reports whether an event was published under this id with [`Repeats::Compared`], as far as ids are kept.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn is_compared(&self, user: &UserId, id: &EventId) -> Result<bool, BusError>;

    /// Publishes an event with [`PublishMode::IMMEDIATE`].
    ///
    /// # Errors
    /// As [`Events::publish_with`].
    async fn publish(&self, user: &UserId, envelope: &Envelope) -> Result<PublishOutcome, BusError> {
        self.publish_with(user, envelope, PublishMode::IMMEDIATE).await
    }

    /// Epoch of the user's event log if it is unrestored, creating it if missing; none if it is restored.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn unrestored_epoch(&self, user: &UserId) -> Result<Option<Epoch>, BusError>;

    /// Marks the event log as restored: from now on [`PublishPhase::AfterRestore`] publishes. False if the log has another epoch
    /// by now.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the log may be marked; repeat.
    async fn mark_restored(&self, user: &UserId, epoch: &Epoch) -> Result<bool, BusError>;

    /// Reads the current offset of each user, in the order of `users`. A user without one gets a new epoch at seq 0.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn offsets(&self, users: &[UserId]) -> Result<Vec<Offset>, BusError>;

    /// Reads the events after an offset, oldest first, at most `limit`; fewer if one does not decode.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn read_log(&self, user: &UserId, after: &Offset, limit: usize) -> Result<LogRead, BusError>;

    /// Opens this node's subscriptions. Dropping both halves closes them.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] if the server is unreachable.
    async fn listen(&self) -> Result<(Arc<dyn UserSubscriptions>, ChannelMessages), BusError>;
}

/// Conditions of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishMode<'a> {
    /// Treatment of the event's id.
    pub repeats: Repeats,
    /// Time of the publish relative to a restore of the event log.
    pub phase: PublishPhase<'a>,
}

impl PublishMode<'_> {
    /// Recorded id, whether or not the event log is restored.
    pub const IMMEDIATE: PublishMode<'static> = PublishMode {
        repeats: Repeats::Dropped,
        phase: PublishPhase::Immediate,
    };
}

/// Treatment of an event id that was published before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// The id is recorded, and a second event with it is dropped.
    Dropped,
    /// The id is recorded with a digest of the content. A second event with it is dropped if its content is the same, else refused.
    Compared(ContentDigest),
    /// The id need not be recorded: it was made for this call and is in no other.
    Unrecorded,
}

/// Digest of the id and the content of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentDigest([u8; DIGEST]);

impl ContentDigest {
    /// Digest of an event with this id. Each part of the content is ended by its length.
    #[must_use]
    pub fn of<'a>(id: &'a EventId, content: impl IntoIterator<Item = &'a str>) -> Self {
        let mut digest = Sha256::new();
        for part in std::iter::once(id.as_str()).chain(content) {
            digest.update(part);
            digest.update(part.len().to_le_bytes());
        }
        let mut bytes = [0; DIGEST];
        for (byte, of_digest) in bytes.iter_mut().zip(digest.finalize()) {
            *byte = of_digest;
        }
        Self(bytes)
    }

    /// Text that stands behind the id of the event.
    pub(crate) fn mark(&self) -> String {
        format!("#{}", BASE64URL_NOPAD.encode(&self.0))
    }
}

/// Bytes of a digest, enough to tell the events of one user apart.
const DIGEST: usize = 12;

/// Time of a publish relative to a restore of the event log, which publishes the recent events again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishPhase<'a> {
    /// Any time: for events of single sockets and sessions, which need no sequence, and where a restore takes too long.
    Immediate,
    /// Not before the restore: an unrestored log refuses the event.
    AfterRestore,
    /// Part of the restore of this epoch: an unrestored log with another epoch refuses the event.
    DuringRestore(&'a Epoch),
}

/// Outcome of a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishOutcome {
    /// The event got this offset.
    Assigned(Offset),
    /// The event id was published before; nothing was done.
    Duplicate,
    /// The event id was published before, with other content; nothing was done.
    Conflict,
    /// The event log is unrestored; the event was not published.
    Unrestored,
}

/// Result of reading the log after an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogRead {
    /// All events after the offset, without a gap, up to the limit; empty if there is none.
    Events(Vec<(Offset, Envelope)>),
    /// The log was trimmed past the offset, the epoch changed, or the next event does not decode. Carries the current offset.
    Gap(Offset),
}

/// Subscriptions of one node to user channels.
#[async_trait]
pub trait UserSubscriptions: Send + Sync {
    /// Subscribes to a user's channel. It returns once the server has confirmed: events published from then on arrive, or a
    /// [`crate::ChannelMessage::Missed`] or [`crate::ChannelMessage::MissedOf`] covers them. Idempotent.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the channel stays desired and is subscribed when the server is back, followed by a `Missed`.
    async fn subscribe(&self, user: &UserId) -> Result<(), BusError>;

    /// Unsubscribes from a user's channel. Messages in flight may still arrive.
    fn unsubscribe(&self, user: &UserId);

    /// Reports whether messages arrive: the last probe message came back.
    fn is_live(&self) -> bool;
}
