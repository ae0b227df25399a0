//! Message of the user channels, as a node receives it.

use std::sync::Arc;

use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::Offset;
use protocol::id::{ResumeTokenId, UserId};

/// Message that a node receives. Events of one user arrive in the server's order; gaps are possible only with a `Missed`, or a `MissedOf` of
/// the user, which may arrive before events of before the gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelMessage {
    /// Event of a subscribed user.
    Event {
        /// User.
        user: UserId,
        /// Offset of the event.
        offset: Offset,
        /// Envelope of the event.
        envelope: Arc<Envelope>,
    },
    /// A client of a subscribed user redeemed its resume token, on any gateway: leases of earlier redemptions have ended.
    Redeemed {
        /// User.
        user: UserId,
        /// Resume token.
        token: ResumeTokenId,
        /// Number of this redemption.
        redemption: u64,
    },
    /// Messages of any user may have been missed: the connection was replaced, or this node was too slow. All subscriptions are
    /// restored; compare offsets.
    Missed,
    /// Messages of these users may have been missed, and none of others: compare their offsets. A user whose messages alone would fill
    /// the queue of this node gets these.
    MissedOf(Vec<UserId>),
}
