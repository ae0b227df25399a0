//! Tickets: with one, a client that lost its socket comes back to its place, on any node.
//!
//! A ticket says where its holder's events began and in which session; what the holder has missed, the log says. It may be redeemed
//! any number of times, and each redemption takes it from the holder before, who may not know yet that its socket is dead.

use async_trait::async_trait;
use protocol::cluster::offset::Offset;
use protocol::id::{ConnectionId, ResumeTokenId, SessionId, UserId};
use protocol::time::Timestamp;

use crate::BusError;

/// Issuing tickets and taking them back.
#[async_trait]
pub trait ResumeTokens: Send + Sync {
    /// Makes a ticket known, for as long as its holder gives signs of life and a while longer.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: it may be known.
    async fn issue_token(&self, key: &ResumeTokenKey, ticket: &ResumeToken) -> Result<ResumeLease, BusError>;

    /// Hands a ticket to whoever came with it at `came`, and tells every node that listens for the user. None when there is no such
    /// ticket, when it is of another session, when the user's order has begun anew since it was issued, and when someone who came
    /// later has it already: a server that was slow may get to an attempt long after its client gave up.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: it may have been handed over; asking again does no harm.
    async fn redeem_token(
        &self,
        key: &ResumeTokenKey,
        session: &SessionId,
        came: Timestamp,
    ) -> Result<Option<Redeemed>, BusError>;

    /// A sign of life of these holders. Says of each whether it is the holder still, as far as anyone knows; in the order asked.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn renew_tokens(&self, holds: &[ResumeLease]) -> Result<Vec<bool>, BusError>;

    /// Ends a ticket, at the word of its holder; nobody else's.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: it may be known still.
    async fn revoke_token(&self, hold: &ResumeLease) -> Result<(), BusError>;
}

/// Which ticket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResumeTokenKey {
    /// Whose.
    pub user: UserId,
    /// Its name, which nobody can guess.
    pub id: ResumeTokenId,
}

/// What a ticket is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeToken {
    /// Who comes back must be of this session.
    pub session: SessionId,
    /// The name of the socket, which the one that comes back gets again.
    pub connection: ConnectionId,
    /// The holder heard of nothing that came before this, and of all that came after it or will.
    pub start: Offset,
}

/// The right to speak for a ticket: that of the latest redemption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeLease {
    /// Which ticket.
    pub key: ResumeTokenKey,
    /// How often it had been redeemed by then.
    pub redemption: u64,
}

/// A ticket in new hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// As it was issued.
    pub ticket: ResumeToken,
    /// The new holder's right.
    pub hold: ResumeLease,
}
