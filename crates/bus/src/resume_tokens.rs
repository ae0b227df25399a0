//! Resume tokens: a client that lost its socket resumes its event stream on any node.
//!
//! A resume token records the session and the start offset of a socket; the event log has the missed events. It may be redeemed
//! any number of times; each redemption ends the lease of the previous one, whose gateway may not have noticed yet that its
//! socket is dead.

use async_trait::async_trait;
use protocol::cluster::offset::Offset;
use protocol::id::{ConnectionId, ResumeTokenId, SessionId, UserId};
use protocol::time::Timestamp;

use crate::BusError;

/// Resume tokens of all sockets.
#[async_trait]
pub trait ResumeTokens: Send + Sync {
    /// Issues a resume token. It expires unless its lease is renewed. If the user has more than `most` then, an eighth of them is evicted:
    /// each time the least recently renewed one of the session with the most.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the token may have been issued.
    async fn issue_token(
        &self,
        key: &ResumeTokenKey,
        token: &ResumeToken,
        most: usize,
    ) -> Result<ResumeLease, BusError>;

    /// Redeems a resume token for an attempt made at `attempted_at`, and notifies all nodes that are subscribed to the user. None
    /// if the token is unknown, belongs to another session or an earlier epoch, or was redeemed by a later attempt: a slow server
    /// may process an attempt long after its client gave up.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the token may have been redeemed; a retry is safe.
    async fn redeem_token(
        &self,
        key: &ResumeTokenKey,
        session: &SessionId,
        attempted_at: Timestamp,
    ) -> Result<Option<Redeemed>, BusError>;

    /// Renews these leases. Reports for each, in the order of `leases`, whether no later redemption is known.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn renew_tokens(&self, leases: &[ResumeLease]) -> Result<Vec<bool>, BusError>;

    /// Revokes a token, if the lease is that of its latest redemption.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the token may remain.
    async fn revoke_token(&self, lease: &ResumeLease) -> Result<(), BusError>;
}

/// Key of a resume token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResumeTokenKey {
    /// Owner.
    pub user: UserId,
    /// Unguessable id.
    pub id: ResumeTokenId,
}

/// Resume token of one socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeToken {
    /// Session that may redeem it.
    pub session: SessionId,
    /// Connection id of the socket, which a resumed socket gets again.
    pub connection: ConnectionId,
    /// Start offset: the socket receives the events after it, and none before.
    pub start: Offset,
}

/// Lease of a resume token by one redemption; the redemption number is its fencing token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeLease {
    /// Key of the token.
    pub key: ResumeTokenKey,
    /// Number of the redemption; 0 for the issued token.
    pub redemption: u64,
}

/// Redeemed resume token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// Token as it was issued.
    pub token: ResumeToken,
    /// Lease of this redemption.
    pub lease: ResumeLease,
}
