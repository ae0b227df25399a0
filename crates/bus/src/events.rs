//! Events: each user has one order, one log that remembers it for a while, and one channel to the gateways where the user is.

use std::sync::Arc;

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::Offset;
use protocol::id::{ResumeTokenId, UserId};
use tokio::sync::mpsc;

use crate::BusError;

/// Publishing to a user, and reading what was published.
#[async_trait]
pub trait Events: Send + Sync {
    /// Gives the event the next place in the user's order, remembers it and tells every gateway that listens for the user: one
    /// atomic step. An event id that was published before gets no second place.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the outcome is unknown; publish the same envelope again.
    async fn publish(&self, user: &UserId, envelope: &Envelope) -> Result<PublishOutcome, BusError>;

    /// Where each user's order is now. A user without one gets a new epoch at seq 0. In the order asked.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn offsets(&self, users: &[UserId]) -> Result<Vec<Offset>, BusError>;

    /// What came after `after`, oldest first, at most `limit` events; fewer where one cannot be read.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn read_log(&self, user: &UserId, after: &Offset, limit: usize) -> Result<LogRead, BusError>;

    /// Opens this node's ear. Dropping both halves closes it.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the server cannot be reached at all.
    async fn listen(&self) -> Result<(Arc<dyn UserSubscriptions>, mpsc::Receiver<ChannelMessage>), BusError>;
}

/// What became of a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishOutcome {
    /// The event has this place now.
    Assigned(Offset),
    /// This id was published before; nothing was done.
    Duplicate,
}

/// What the log says about the time after a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogRead {
    /// Every event after the position, without a hole, up to the limit; empty when there is none.
    Events(Vec<(Offset, Envelope)>),
    /// The log no longer reaches back that far, the order has begun anew, or what came next is in a form that only a newer release
    /// understands. It stands here now.
    Gap(Offset),
}

/// One node's subscriptions.
#[async_trait]
pub trait UserSubscriptions: Send + Sync {
    /// Listens for a user. When it returns, the server has confirmed: whatever is published from now on is heard, or a
    /// [`ChannelMessage::Missed`] tells that it may not have been. Subscribing twice is subscribing once.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]; the user stays registered and is subscribed when the server is back (then `Missed` comes).
    async fn subscribe(&self, user: &UserId) -> Result<(), BusError>;

    /// Stops listening for a user. What is on its way may still be heard.
    fn unsubscribe(&self, user: &UserId);

    /// Whether messages are known to arrive: the last probe came back.
    fn is_live(&self) -> bool;
}

/// What a node hears. Events of one user come in the order of the server; holes are possible after `Missed` only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelMessage {
    /// An event of a user that this node listens for.
    Event {
        /// Whose.
        user: UserId,
        /// Its place.
        offset: Offset,
        /// What.
        envelope: Arc<Envelope>,
    },
    /// A client of a user that this node listens for came back with its ticket, here or elsewhere: whoever holds the ticket by an
    /// earlier redemption holds it no longer.
    Redeemed {
        /// Whose.
        user: UserId,
        /// Which ticket.
        ticket: ResumeTokenId,
        /// The number of this redemption.
        redemption: u64,
    },
    /// Messages for any user may have been missed: the connection was renewed, or this node was too slow. All subscriptions
    /// hold again; compare positions.
    Missed,
}
