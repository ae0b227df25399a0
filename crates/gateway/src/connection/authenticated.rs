//! A socket whose caller is proven: it may ask for a seat.

use std::sync::Arc;
use std::time::Duration;

use bus::{ResumeToken, ResumeTokenKey};
use lifecycle::Entropy;
use protocol::cluster::offset::Offset;
use protocol::cluster::origin::Origin;
use protocol::event::name;
use protocol::id::{ConnectionId, SessionId, UserId};
use protocol::json::Json;
use protocol::time::Timestamp;
use protocol::wire::auth::Resume;
use protocol::wire::{Message, RequestId, native, socketio};
use serde::Serialize;
use tokio::time::{Instant, timeout};
use tracing::Span;

use super::Connections;
use super::accepted::refuse;
use super::draining::Draining;
use super::ending::Ending;
use super::live::{Live, Standing};
use super::replay::Replay;
use super::resume::{Beginning, Resumed};
use super::task::Link;
use crate::command::Caller;
use crate::form::Form;
use crate::handshake::token::Identity;
use crate::hub::Subscriber;
use crate::name as names;
use crate::session::Closed;

/// A socket after its token.
pub(super) struct Authenticated {
    link: Box<Link>,
    identity: Identity,
    manner: Manner,
    origin: Origin,
    connection: ConnectionId,
}

/// How a client wants to be served.
pub(super) struct Manner {
    /// How it is spoken to.
    pub(super) form: Form,
    /// How it will know the answer to `auth`.
    pub(super) request: Option<RequestId>,
    /// Where it left off.
    pub(super) resume: Option<Resume>,
}

impl Authenticated {
    pub(super) fn new(
        link: Box<Link>,
        identity: Identity,
        manner: Manner,
        origin: Origin,
        entropy: &dyn Entropy,
    ) -> Self {
        Self {
            link,
            identity,
            manner,
            origin,
            connection: names::connection(entropy),
        }
    }

    /// Finds the place that the client left, takes its place in its session and a seat among the user's sockets, and tells the
    /// client. The greeting leaves before any event, and names the place after which events come.
    ///
    /// # Errors
    /// The socket, to be ended: its user comes too often, its session is over, or the bus does not hear for this user in time.
    pub(super) async fn join(mut self, on: &Connections) -> Result<Live, Draining> {
        if !on.joins.admit(&self.identity.user, Instant::now()) {
            return Err(Draining::unproven(self.link, Ending::JoinRate));
        }
        let came = on.clock.now().into();
        let resumed = match &self.manner.resume {
            Some(resume) => Resumed::of(resume, &self.identity, came, &*on.bus, &on.metrics).await,
            None => Ok(None),
        };
        let Ok(resumed) = resumed else {
            return Err(Draining::unproven(self.link, Ending::Unavailable));
        };
        if let Some(resumed) = &resumed {
            self.connection = resumed.connection.clone();
        }
        Span::current()
            .record("conn", self.connection.as_str())
            .record("user", self.identity.user.as_str());
        let caller = Arc::new(self.caller());
        let membership = match timeout(on.timing.join, on.sessions.join(&caller)).await {
            Ok(Ok(membership)) => membership,
            Ok(Err(closed)) => return Err(self.refuse(closed)),
            Err(_too_late) => return Err(self.refuse(Closed::Unavailable)),
        };
        let subscriber = Subscriber {
            dismissal: Arc::clone(self.link.dismissal()),
            moved: on.sessions.hints().clone(),
            connection: self.connection.clone(),
            session: self.identity.session.clone(),
            form: self.manner.form,
            outbound: Arc::clone(self.link.outbound()),
        };
        let joining = on.hub.join(&self.identity.user, subscriber);
        let Ok(Some((seat, offset))) = timeout(on.timing.join, joining).await else {
            return Err(Draining::unproven(self.link, Ending::Unavailable));
        };
        match timeout(on.timing.join, on.sessions.confirm(&caller)).await {
            Ok(Ok(())) => {}
            Ok(Err(closed)) => return Err(self.refuse(closed)),
            Err(_too_late) => return Err(self.refuse(Closed::Unavailable)),
        }
        // With its seat it hears that it is one too many, as others come.
        let Ok(Ok(entry)) = timeout(on.timing.join, on.presence.enter(&caller)).await else {
            return Err(Draining::unproven(self.link, Ending::Unavailable));
        };
        let beginning = match resumed {
            Some(resumed) => Ok(Beginning::recovered(resumed)),
            None => Beginning::fresh(&offset, self.ticket(&offset, on), &*on.bus).await,
        };
        let Ok(beginning) = beginning else {
            return Err(Draining::unproven(self.link, Ending::Unavailable));
        };
        let now = on.clock.now().into();
        if let Err(ending) = self.link.proven(until(self.identity.expires, now)) {
            return Err(Draining::unproven(self.link, ending));
        }
        self.link.outbound().push_first(self.greeting(&beginning, now));
        tracing::debug!(beginning.recovered, "the socket is live");
        let open = on.metrics.connected(self.manner.form.dialect());
        let Beginning {
            hold,
            after,
            page,
            recovered,
        } = beginning;
        hold.iter().for_each(|hold| seat.hold(hold.clone()));
        let replay = Replay::new(Arc::clone(self.link.outbound()), after, page, offset);
        let standing = Standing {
            membership,
            _entry: entry,
            seat,
            hold,
            replay: Some(Box::new(replay)),
            recovered,
            _open: open,
        };
        Ok(Live::new(self.link, caller, standing))
    }

    /// What is issued to a client that begins here and may come back.
    fn ticket(&self, start: &Offset, on: &Connections) -> Option<(ResumeTokenKey, ResumeToken)> {
        let key = ResumeTokenKey {
            user: self.identity.user.clone(),
            id: names::ticket(&*on.entropy),
        };
        let ticket = ResumeToken {
            session: self.identity.session.clone(),
            connection: self.connection.clone(),
            start: start.clone(),
        };
        self.manner.form.recovers().then_some((key, ticket))
    }

    fn caller(&self) -> Caller {
        Caller::new(
            &self.identity,
            (self.connection.clone(), self.manner.form, self.origin.clone()),
            (Arc::clone(self.link.outbound()), Arc::clone(self.link.dismissal())),
        )
    }

    /// Whoever may try again is closed and not told to stay away.
    fn refuse(self, closed: Closed) -> Draining {
        let ending = match closed {
            Closed::Ended => Ending::SessionEnded,
            Closed::Idle => Ending::Unauthenticated,
            Closed::Unavailable => return Draining::unproven(self.link, Ending::Unavailable),
        };
        refuse(&self.link, self.manner.request.as_ref(), closed.failure());
        Draining::unproven(self.link, ending)
    }

    fn greeting(&self, beginning: &Beginning, now: Timestamp) -> Message {
        let ticket = beginning.hold.as_ref().map(|hold| hold.key.id.as_str());
        let Some(encoding) = self.manner.form.native() else {
            return socketio::connected(self.manner.form.dialect(), self.connection.as_str(), ticket);
        };
        let ready = Ready {
            user_id: &self.identity.user,
            session_id: &self.identity.session,
            resume_token: ticket.unwrap_or_default(),
            offset: beginning.after.to_string(),
            recovered: beginning.recovered,
            expires_at: self.identity.expires,
            server_time: now,
        };
        native::answer(encoding, name::READY, &Json::of(&ready), self.manner.request.as_ref())
    }
}

/// `ready`: a plain WebSocket is live.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ready<'a> {
    user_id: &'a UserId,
    session_id: &'a SessionId,
    /// Resume token that the client sends to resume.
    resume_token: &'a str,
    /// Events after this one will come.
    offset: String,
    recovered: bool,
    /// The token's end.
    expires_at: Timestamp,
    server_time: Timestamp,
}

/// When a token ends, on the clock of timers.
pub(crate) fn until(ends: Timestamp, now: Timestamp) -> Instant {
    Instant::now() + ends.since(now).min(LONGEST)
}

/// No timer looks further ahead: a token may be good for longer than a clock can count.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
