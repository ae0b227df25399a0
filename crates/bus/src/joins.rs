//! Joins: everything that the bus does for a socket that becomes live, as one step.

use async_trait::async_trait;
use protocol::cluster::offset::Offset;
use protocol::id::ResumeTokenId;

use crate::{BusError, Hint, OpenSocket, ResumeLease, SessionKey, SessionState, SessionTtl, TokenTimes};

/// Joins of sockets to their sessions.
#[async_trait]
pub trait Joins: Send + Sync {
    /// Joins a socket to its session, if that is live: records the times of its token, registers the socket, issues its
    /// resume token, and reads the offset of the user's event log and the hints, all of one moment. A socket whose node is
    /// subscribed to the user's channel before misses no end of its session.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the socket may be registered, and its resume token issued; a retry is safe.
    async fn join(&self, join: &SocketJoin) -> Result<JoinOutcome, BusError>;
}

/// Socket that joins its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketJoin {
    /// Session of its token.
    pub session: SessionKey,
    /// Times of its token.
    pub token: TokenTimes,
    /// Entry of the socket. Its session is that of `session`.
    pub socket: OpenSocket,
    /// Bound of the user's sockets.
    pub max_sockets: usize,
    /// Id of the resume token to issue, if any. The socket's events start at the offset of the join.
    pub resume_token: Option<ResumeTokenId>,
    /// Name of the check for open alerts, as in [`Hints::begin_alert_check`](crate::Hints::begin_alert_check), that starts if the session
    /// is unknown. The worker that opens it records the sign-in under this name.
    pub alert_check: Option<String>,
}

/// Outcome of a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinOutcome {
    /// The socket has joined.
    Joined(Box<JoinedSocket>),
    /// The session is not live but in this state. Nothing was done, except that the check for open alerts of an unknown session started.
    Refused(SessionState),
}

/// State of the bus at a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedSocket {
    /// Remaining time of the session.
    pub session: SessionTtl,
    /// Offset of the user's event log.
    pub offset: Offset,
    /// Sockets to close, as [`Presence::register_socket`](crate::Presence::register_socket) returns them.
    pub surplus: Vec<OpenSocket>,
    /// Lease of the issued resume token.
    pub lease: Option<ResumeLease>,
    /// Hints of the user and the socket's origin.
    pub hint: Hint,
}
