//! Subscriber: one socket's state of delivery, and its reaction to lost events.

use std::sync::Arc;

use bus::{ResumeLease, SessionKey};
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::cluster::offset::Offset;
use protocol::event::{Notice, name};
use protocol::id::{ConnectionId, SessionId, UserId};
use protocol::security::SessionExpired;
use protocol::time::Timestamp;
use protocol::wire::Push;
use tokio::sync::mpsc;

use super::encoded_event::EncodedEvent;
use super::gap::is_beyond;
use crate::socket::{ClientEncoding, CloseReason, CloseRequest, OutboundQueue};

/// Socket that subscribes to its user's events.
#[derive(Debug)]
pub(crate) struct SubscribedSocket {
    pub(crate) connection: ConnectionId,
    pub(crate) session: SessionId,
    /// Encoding of its messages.
    pub(crate) encoding: ClientEncoding,
    pub(crate) outbound: Arc<OutboundQueue>,
    pub(crate) close_request: Arc<CloseRequest>,
    /// Hints that the deadline of its session may have changed. One that finds the channel full is dropped: the next TTL check is due
    /// anyway.
    pub(crate) session_hints: mpsc::Sender<SessionKey>,
}

/// Socket with its state of delivery.
#[derive(Debug)]
pub(super) struct Subscriber {
    socket: SubscribedSocket,
    delivery: Delivery,
    /// Resume token of its client.
    resume_state: Option<ResumeLease>,
}

/// Events of the channel that are delivered to a socket.
#[derive(Debug)]
enum Delivery {
    /// None yet: the socket reads the log up to the offset of its channel.
    Replaying,
    /// Events after this offset, which may be ahead of the channel.
    After(Offset),
    /// None any more: events were lost, and the socket is to be closed.
    Stopped,
}

impl Subscriber {
    pub(super) fn new(socket: SubscribedSocket) -> Self {
        Self {
            socket,
            delivery: Delivery::Replaying,
            resume_state: None,
        }
    }

    /// Records the resume token of the socket.
    pub(super) fn set_resume_state(&mut self, state: ResumeLease) {
        self.resume_state = Some(state);
    }

    /// Resume token of the socket.
    pub(super) fn resume_state(&self) -> Option<&ResumeLease> {
        self.resume_state.as_ref()
    }

    /// Delivers events after this offset, up to which the socket has read the log.
    pub(super) fn go_live(&mut self, cursor: Offset) {
        if matches!(self.delivery, Delivery::Replaying) {
            self.delivery = Delivery::After(cursor);
        }
    }

    /// Delivers an event of the channel. True if it was queued; a queue that is to be sent is added to `unsent`.
    pub(super) fn deliver(
        &self,
        offset: &Offset,
        envelope: &Envelope,
        encoded: &mut EncodedEvent<'_>,
        unsent: &mut Vec<Arc<OutboundQueue>>,
    ) -> bool {
        if let Some(reason) = close_reason_of(envelope) {
            return self.close_if_addressed(envelope, reason);
        }
        let is_new = matches!(&self.delivery, Delivery::After(cursor) if is_beyond(offset, cursor));
        let is_due = is_new && self.is_addressed(&envelope.audience);
        if is_due && encoded.send(self.socket.encoding, &self.socket.outbound) {
            unsent.push(Arc::clone(&self.socket.outbound));
        }
        is_due
    }

    /// Delivers an event that the socket has read from the log. True if it was queued.
    pub(super) fn replay(&self, envelope: &Envelope, encoded: &mut EncodedEvent<'_>) -> bool {
        if let Some(reason) = close_reason_of(envelope) {
            return self.close_if_addressed(envelope, reason);
        }
        let is_due = !matches!(self.delivery, Delivery::Stopped) && self.is_addressed(&envelope.audience);
        if is_due {
            encoded.send_at_once(self.socket.encoding, &self.socket.outbound);
        }
        is_due
    }

    /// Records that the channel has lost events up to this offset. True if the socket missed them: it may have read them from the log, or
    /// be about to.
    pub(super) fn miss(&mut self, now: &Offset) -> bool {
        match &self.delivery {
            Delivery::After(cursor) if is_beyond(now, cursor) && !self.has_session_ended() => {}
            Delivery::After(_) | Delivery::Replaying | Delivery::Stopped => return false,
        }
        self.delivery = Delivery::After(now.clone());
        self.report_loss();
        true
    }

    /// Notifies the client of lost events. A plain WebSocket gets `resync`; Socket.IO has no such event, so its socket is closed, and its
    /// client finds on reconnect that it was not recovered.
    pub(super) fn report_loss(&mut self) {
        let SubscribedSocket { encoding, outbound, .. } = &self.socket;
        if self.has_session_ended() {
            self.delivery = Delivery::Stopped;
        } else if encoding.native().is_some() {
            let notice = Notice::Resync;
            outbound.push(encoding.push(&Push {
                event: notice.name(),
                data: &notice.data(),
                offset: None,
                event_id: None,
            }));
        } else {
            self.delivery = Delivery::Stopped;
            self.close(CloseReason::Resync);
        }
    }

    /// Requests the close of the socket.
    pub(super) fn close(&self, reason: CloseReason) {
        self.socket.close_request.close(reason);
    }

    /// Requests a TTL check of its session.
    pub(super) fn request_ttl_check(&self, user: &UserId) {
        if let Some(key) = self.session(user) {
            drop(self.socket.session_hints.try_send(key));
        }
    }

    /// Session of the socket; `None` once it is known to have ended.
    pub(super) fn session(&self, user: &UserId) -> Option<SessionKey> {
        (!self.has_session_ended()).then(|| SessionKey {
            user: user.clone(),
            session: self.socket.session.clone(),
        })
    }

    fn has_session_ended(&self) -> bool {
        self.socket.close_request.has_session_ended()
    }

    /// Returns false: the event itself is not sent to clients.
    fn close_if_addressed(&self, envelope: &Envelope, reason: CloseReason) -> bool {
        if !self.is_addressed(&envelope.audience) {
            return false;
        }
        match end_of_session(envelope) {
            Some(at) => self.socket.close_request.end_session(at),
            None => self.close(reason),
        }
        false
    }

    /// True if an event is for this socket; none is once its session has ended.
    pub(super) fn is_addressed(&self, audience: &Audience) -> bool {
        if self.has_session_ended() {
            return false;
        }
        match audience {
            Audience::User => true,
            Audience::Session(session) => *session == self.socket.session,
            Audience::Socket(connection) => *connection == self.socket.connection,
        }
    }
}

/// Time of the end of a session that an event announces.
fn end_of_session(envelope: &Envelope) -> Option<Timestamp> {
    let is_end = envelope.event == name::SESSION_EXPIRED;
    let ended = is_end.then(|| envelope.data.read::<SessionExpired>().ok()).flatten();
    ended.map(|ended| ended.timestamp)
}

/// Close reason of an event between nodes that closes the sockets it names. Each socket notifies its client itself.
fn close_reason_of(envelope: &Envelope) -> Option<CloseReason> {
    match envelope.event.as_str() {
        name::SESSION_EXPIRED => Some(CloseReason::SessionEnded),
        name::SURPLUS => Some(CloseReason::Surplus),
        _ => None,
    }
}
