//! One socket's place in its user's order: what it still has to read, what it hears, and what becomes of it when events are lost.

use bus::{ResumeLease, SessionKey};
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::cluster::offset::Offset;
use protocol::event::{Notice, name};
use protocol::id::UserId;
use protocol::wire::Push;

use super::Subscriber;
use super::encoded::Encoded;
use super::gap::is_beyond;
use crate::connection::Ending;

/// A socket among its user's.
#[derive(Debug)]
pub(super) struct Place {
    subscriber: Subscriber,
    hears: Hears,
    /// What its client comes back with.
    hold: Option<ResumeLease>,
}

/// What reaches a socket when its room delivers.
#[derive(Debug)]
enum Hears {
    /// Nothing yet: it reads the log, until it is where the room is.
    Later,
    /// Whatever comes after this position. It has read ahead of the room perhaps.
    After(Offset),
    /// Nothing any more: events are lost, and it is to end.
    Nothing,
}

impl Place {
    pub(super) fn new(subscriber: Subscriber) -> Self {
        Self {
            subscriber,
            hears: Hears::Later,
            hold: None,
        }
    }

    /// Takes note of the ticket that it holds.
    pub(super) fn hold(&mut self, hold: ResumeLease) {
        self.hold = Some(hold);
    }

    /// The ticket that it holds.
    pub(super) fn held(&self) -> Option<&ResumeLease> {
        self.hold.as_ref()
    }

    /// It has read all up to here, and hears what comes after.
    pub(super) fn go_live(&mut self, cursor: Offset) {
        if matches!(self.hears, Hears::Later) {
            self.hears = Hears::After(cursor);
        }
    }

    /// Its room delivers an event. True when it is given to the socket.
    pub(super) fn hear(&self, offset: &Offset, envelope: &Envelope, encoded: &mut Encoded) -> bool {
        if let Some(ending) = ending_of(envelope) {
            return self.end_if_addressed(envelope, ending);
        }
        let is_news = matches!(&self.hears, Hears::After(cursor) if is_beyond(offset, cursor));
        let hears = is_news && self.is_addressed(&envelope.audience);
        if hears {
            let Subscriber { form, outbound, .. } = &self.subscriber;
            encoded.send(*form, outbound);
        }
        hears
    }

    /// It has read an event in the log itself. True when it is given to the socket.
    pub(super) fn replay(&self, envelope: &Envelope, encoded: &mut Encoded) -> bool {
        if let Some(ending) = ending_of(envelope) {
            return self.end_if_addressed(envelope, ending);
        }
        let hears = !matches!(self.hears, Hears::Nothing) && self.is_addressed(&envelope.audience);
        if hears {
            let Subscriber { form, outbound, .. } = &self.subscriber;
            encoded.send_at_once(*form, outbound);
        }
        hears
    }

    /// Its room has lost what came up to this position. True when the socket has too: it may have read as far itself, or be about
    /// to.
    pub(super) fn miss(&mut self, now: &Offset) -> bool {
        match &self.hears {
            Hears::After(cursor) if is_beyond(now, cursor) && !self.is_over() => {}
            Hears::After(_) | Hears::Later | Hears::Nothing => return false,
        }
        self.hears = Hears::After(now.clone());
        self.lose();
        true
    }

    /// It has lost events. A plain WebSocket is told; a Socket.IO client, which has no word for it, is sent away, and hears that it
    /// was not recovered where it comes back.
    pub(super) fn lose(&mut self) {
        let Subscriber { form, outbound, .. } = &self.subscriber;
        if self.is_over() {
            self.hears = Hears::Nothing;
        } else if form.native().is_some() {
            let notice = Notice::Resync;
            outbound.push(form.push(&Push {
                event: notice.name().to_owned(),
                data: notice.data(),
                offset: None,
            }));
        } else {
            self.hears = Hears::Nothing;
            self.end(Ending::Resync);
        }
    }

    /// Has the socket ended.
    pub(super) fn end(&self, ending: Ending) {
        self.subscriber.dismissal.say(ending);
    }

    /// Has it asked about its session, the end of which may have moved.
    pub(super) fn session_moved(&self, user: &UserId) {
        if let Some(key) = self.session(user) {
            drop(self.subscriber.moved.try_send(key));
        }
    }

    /// The session of its socket; none that was found to be over.
    pub(super) fn session(&self, user: &UserId) -> Option<SessionKey> {
        (!self.is_over()).then(|| SessionKey {
            user: user.clone(),
            session: self.subscriber.session.clone(),
        })
    }

    /// Whether its session was found to be over.
    fn is_over(&self) -> bool {
        self.subscriber.dismissal.is_session_over()
    }

    /// False: the event itself is not for clients.
    fn end_if_addressed(&self, envelope: &Envelope, ending: Ending) -> bool {
        if self.is_addressed(&envelope.audience) {
            self.end(ending);
        }
        false
    }

    /// Nothing is for a socket whose session is over.
    fn is_addressed(&self, audience: &Audience) -> bool {
        if self.is_over() {
            return false;
        }
        match audience {
            Audience::User => true,
            Audience::Session(session) => *session == self.subscriber.session,
            Audience::Socket(connection) => *connection == self.subscriber.connection,
        }
    }
}

/// What an event between nodes does to the sockets that it names: each tells its client by itself, right before it ends.
fn ending_of(envelope: &Envelope) -> Option<Ending> {
    match envelope.event.as_str() {
        name::SESSION_EXPIRED => Some(Ending::SessionEnded),
        name::SURPLUS => Some(Ending::Surplus),
        _ => None,
    }
}
