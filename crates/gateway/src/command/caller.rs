//! Who asks, and where the answer goes.

use std::sync::{Arc, Mutex, PoisonError};

use lifecycle::Entropy;
use protocol::cluster::job::{Job, Work};
use protocol::cluster::origin::Origin;
use protocol::event::Notice;
use protocol::id::{ConnectionId, NodeId, SessionId, UserId};
use protocol::time::Timestamp;
use protocol::wire::{Message, Push};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::connection::outbound::Outbound;
use crate::connection::{Dismissal, Ending};
use crate::form::Form;
use crate::handshake::token::Identity;
use crate::name;

/// A live socket, as commands see it.
#[derive(Debug)]
pub(crate) struct Caller {
    /// Whose it is, proven by token.
    pub(crate) user: UserId,
    /// Of which session.
    pub(crate) session: SessionId,
    /// Which socket.
    pub(crate) connection: ConnectionId,
    /// How it is spoken to.
    pub(crate) form: Form,
    /// Where it comes from.
    pub(crate) origin: Origin,
    /// What its token says of time; `auth:refresh` brings another one.
    token: Mutex<TokenTimes>,
    outbound: Arc<Outbound>,
    dismissal: Arc<Dismissal>,
    in_flight: Arc<Semaphore>,
}

/// What a token says of time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenTimes {
    /// Its end.
    pub(crate) ends: Timestamp,
    /// When it was issued, where it says so.
    pub(crate) issued: Option<Timestamp>,
    /// When its user last signed in, as far as it says: `auth_time`, else `iat`.
    pub(crate) signed_in: Option<Timestamp>,
}

impl From<&Identity> for TokenTimes {
    fn from(identity: &Identity) -> Self {
        Self {
            ends: identity.expires,
            issued: identity.issued,
            signed_in: identity.signed_in(),
        }
    }
}

impl Caller {
    /// A caller without a command under way.
    pub(crate) fn new(
        identity: &Identity,
        (connection, form, origin): (ConnectionId, Form, Origin),
        (outbound, dismissal): (Arc<Outbound>, Arc<Dismissal>),
    ) -> Self {
        Self {
            user: identity.user.clone(),
            session: identity.session.clone(),
            connection,
            form,
            origin,
            token: Mutex::new(identity.into()),
            outbound,
            dismissal,
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
        }
    }

    /// What the token now in force says of time.
    pub(crate) fn token(&self) -> TokenTimes {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another token of the same user and session has taken the place of the one before.
    pub(super) fn renew_token(&self, identity: &Identity) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = identity.into();
    }

    /// Has the socket ended.
    pub(crate) fn dismiss(&self, ending: Ending) {
        self.dismissal.say(ending);
    }

    /// Whether the socket's session was found to be over.
    pub(crate) fn is_session_over(&self) -> bool {
        self.dismissal.is_session_over()
    }

    /// Says something to this socket alone.
    pub(crate) fn notify(&self, notice: &Notice) {
        self.outbound.push(self.form.push(&Push {
            event: notice.name().to_owned(),
            data: notice.data(),
            offset: None,
        }));
    }

    /// A job that this socket asks for, or that is asked for on its behalf, by this node.
    pub(crate) fn job(&self, node: &NodeId, entropy: &dyn Entropy, work: Work) -> Job {
        Job {
            v: Job::VERSION,
            id: name::job(entropy),
            user: self.user.clone(),
            session: self.session.clone(),
            connection: self.connection.clone(),
            node: node.clone(),
            origin: Some(self.origin.clone()),
            traceparent: name::trace(entropy),
            idempotency_key: None,
            authenticated_at: self.token().signed_in,
            work,
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

#[cfg(test)]
impl Caller {
    /// A socket of this user that nobody reads.
    pub(super) fn sample(user: &str) -> Self {
        Self::sample_with(user, Arc::default())
    }

    /// A socket of this user with this queue.
    pub(super) fn sample_with(user: &str, outbound: Arc<Outbound>) -> Self {
        let identity = Identity {
            user: UserId::new(user).unwrap(),
            session: SessionId::new("s").unwrap(),
            expires: Timestamp::from_millis(0),
            issued: None,
            authenticated: None,
        };
        let origin = Origin {
            address: "192.0.2.1".to_owned(),
            device_id: None,
            device_name: None,
            user_agent: None,
        };
        let form = Form::new(protocol::wire::Dialect::NativeJson, true);
        let place = (ConnectionId::new("c").unwrap(), form, origin);
        Self::new(&identity, place, (outbound, Arc::default()))
    }
}

/// How many commands of one socket may be under way.
const MAX_IN_FLIGHT: usize = 32;
