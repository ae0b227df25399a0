//! Who asks, and where the answer goes.

use std::sync::Arc;

use protocol::id::{ConnectionId, SessionId, UserId};
use protocol::time::Timestamp;
use protocol::wire::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::connection::outbound::Outbound;
use crate::form::Form;
use crate::handshake::token::Identity;

/// A live socket, as commands see it.
#[derive(Debug)]
pub(crate) struct Caller {
    /// Whose it is, proven by token.
    pub(crate) user: UserId,
    /// Of which session.
    pub(crate) session: SessionId,
    /// Which socket.
    pub(crate) connection: ConnectionId,
    /// When its user last signed in, as far as the token says: `auth_time`, else `iat`.
    pub(crate) authenticated_at: Option<Timestamp>,
    /// How it is spoken to.
    pub(crate) form: Form,
    outbound: Arc<Outbound>,
    in_flight: Arc<Semaphore>,
}

impl Caller {
    /// A caller without a command under way.
    pub(crate) fn new(identity: Identity, connection: ConnectionId, form: Form, outbound: Arc<Outbound>) -> Self {
        Self {
            authenticated_at: identity.signed_in(),
            user: identity.user,
            session: identity.session,
            connection,
            form,
            outbound,
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
        }
    }

    /// Resolves when no command is under way.
    pub(crate) async fn all_answered(&self) {
        let all = u32::try_from(MAX_IN_FLIGHT).unwrap_or(u32::MAX);
        drop(self.in_flight.acquire_many(all).await);
    }

    /// Counts a command as under way until the permit is dropped; `None` when there are too many.
    pub(super) fn begin(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.in_flight).try_acquire_owned().ok()
    }

    /// Whether nobody waits for answers any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.outbound.is_closed()
    }

    /// Queues what this socket alone is told.
    pub(crate) fn send(&self, messages: Vec<Message>) {
        for message in messages {
            self.outbound.push(message);
        }
    }
}

/// How many commands of one socket may be under way.
const MAX_IN_FLIGHT: usize = 32;
