//! Caller: a live socket as commands know it, with the identity of its token and the queue for its answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::SessionKey;
use protocol::cluster::origin::Origin;
use protocol::event::Notice;
use protocol::expiry::Expiry;
use protocol::id::{ConnectionId, SessionId, UserId};
use protocol::json::Json;
use protocol::time::Timestamp;
use protocol::wire::{Message, Push};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::client_encoding::ClientEncoding;
use super::close_request::CloseRequest;
use super::outbound::OutboundQueue;
use crate::close_reason::CloseReason;
use crate::handshake::token::Identity;
use crate::workers::Requester;

/// Live socket, as commands know it.
#[derive(Debug)]
pub(crate) struct Caller {
    /// User, verified by the token.
    pub(crate) user: UserId,
    /// Session of the token.
    pub(crate) session: SessionId,
    /// Id of the socket.
    pub(crate) connection: ConnectionId,
    /// Encoding of its messages.
    pub(crate) encoding: ClientEncoding,
    /// Address and device.
    pub(crate) origin: Origin,
    /// Times of its token, which `auth:refresh` replaces.
    token: Mutex<TokenTimes>,
    outbound: Arc<OutboundQueue>,
    close_request: Arc<CloseRequest>,
    in_flight: Arc<Semaphore>,
}

/// Times of a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenTimes {
    /// Expiry.
    pub(crate) ends: Timestamp,
    /// Time of issue, if stated.
    pub(crate) issued: Option<Timestamp>,
    /// Time of the last sign-in, if stated: `auth_time`, else `iat`.
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

impl From<&Identity> for bus::TokenTimes {
    fn from(identity: &Identity) -> Self {
        TokenTimes::from(identity).into()
    }
}

impl From<TokenTimes> for bus::TokenTimes {
    fn from(token: TokenTimes) -> Self {
        Self {
            issued_at: token.issued,
            expires_at: Some(token.ends),
        }
    }
}

impl Caller {
    /// Creates a caller without pending commands.
    pub(crate) fn new(
        identity: &Identity,
        (connection, encoding, origin): (ConnectionId, ClientEncoding, Origin),
        (outbound, close_request): (Arc<OutboundQueue>, Arc<CloseRequest>),
    ) -> Self {
        Self {
            user: identity.user.clone(),
            session: identity.session.clone(),
            connection,
            encoding,
            origin,
            token: Mutex::new(identity.into()),
            outbound,
            close_request,
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
        }
    }

    /// Times of the current token.
    pub(crate) fn token(&self) -> TokenTimes {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the token by another one of the same user and session.
    pub(crate) fn renew_token(&self, identity: &Identity) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = identity.into();
    }

    /// Requests the close of the socket.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.close_request.close(reason);
    }

    /// True if the session of the socket is known to have ended.
    pub(crate) fn has_session_ended(&self) -> bool {
        self.close_request.has_session_ended()
    }

    /// Sends a notice to this socket only.
    pub(crate) fn notify(&self, notice: &Notice) {
        self.push(notice.name(), &notice.data());
    }

    /// Sends an event to this socket only.
    pub(crate) fn push(&self, event: &str, data: &Json) {
        self.outbound.push(self.encoding.push(&Push {
            event,
            data,
            offset: None,
            event_id: None,
        }));
    }

    /// Session of the caller.
    pub(crate) fn session_key(&self) -> SessionKey {
        SessionKey {
            user: self.user.clone(),
            session: self.session.clone(),
        }
    }

    /// End of its session for this socket, if the session itself ends then.
    pub(crate) fn expiry(&self, session_expires_at: Timestamp) -> Expiry {
        Expiry::new(session_expires_at, Some(self.token().ends))
    }

    /// Expiry of the current token, on the clock of timers.
    pub(crate) fn token_deadline(&self, now: Timestamp) -> Instant {
        Instant::now() + self.token().ends.since(now).min(MAX_TIMER)
    }

    /// Requester of jobs on behalf of this socket.
    pub(crate) fn requester(&self) -> Requester {
        let token = self.token();
        Requester {
            session: self.session_key(),
            connection: Some(self.connection.clone()),
            origin: Some(self.origin.clone()),
            traceparent: None,
            authenticated_at: token.signed_in,
            token_expires_at: Some(token.ends),
            idempotency_key: None,
        }
    }

    /// True if no command is pending.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.available_permits() == MAX_IN_FLIGHT
    }

    /// Resolves when no command is pending.
    pub(crate) async fn idle(&self) {
        let all = u32::try_from(MAX_IN_FLIGHT).unwrap_or(u32::MAX);
        drop(self.in_flight.acquire_many(all).await);
    }

    /// Counts a command as pending until the permit is dropped; `None` if there are too many.
    pub(crate) fn pending_permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.in_flight).try_acquire_owned().ok()
    }

    /// True if the socket is closed, and its answers would be dropped.
    pub(crate) fn is_gone(&self) -> bool {
        self.outbound.is_closed()
    }

    /// Queues messages for this socket only.
    pub(crate) fn send(&self, messages: Vec<Message>) {
        for message in messages {
            self.outbound.push(message);
        }
    }
}

#[cfg(test)]
impl Caller {
    /// Socket of this user whose queue nobody reads.
    pub(crate) fn sample(user: &str) -> Self {
        Self::sample_with(user, Arc::default())
    }

    /// Socket of this user with this queue.
    pub(crate) fn sample_with(user: &str, outbound: Arc<OutboundQueue>) -> Self {
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
        let encoding = ClientEncoding::new(protocol::wire::Dialect::NativeJson, true);
        let socket = (ConnectionId::new("c").unwrap(), encoding, origin);
        Self::new(&identity, socket, (outbound, Arc::default()))
    }
}

/// Pending commands of one socket.
const MAX_IN_FLIGHT: usize = 32;
/// Longest timer: a token may be valid for longer than an instant can represent.
const MAX_TIMER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
