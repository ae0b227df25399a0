//! A socket whose caller is proven: it may ask for a seat.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::Entropy;
use protocol::cluster::origin::Origin;
use protocol::cluster::position::Position;
use protocol::code::ErrorCode;
use protocol::event::name;
use protocol::id::{ConnectionId, SessionId, UserId};
use protocol::json::Json;
use protocol::time::Timestamp;
use protocol::wire::{Message, RequestId, native, socketio};
use serde::Serialize;
use tokio::time::{Instant, timeout};
use tracing::Span;

use super::Connections;
use super::accepted::refuse;
use super::draining::Draining;
use super::ending::Ending;
use super::live::Live;
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
    form: Form,
    /// How the client will know the answer to `auth`.
    request: Option<RequestId>,
    origin: Origin,
    connection: ConnectionId,
}

impl Authenticated {
    pub(super) fn new(
        link: Box<Link>,
        identity: Identity,
        (form, request): (Form, Option<RequestId>),
        origin: Origin,
        entropy: &dyn Entropy,
    ) -> Self {
        let connection = names::connection(entropy);
        Span::current()
            .record("conn", connection.as_str())
            .record("user", identity.user.as_str());
        Self {
            link,
            identity,
            form,
            request,
            origin,
            connection,
        }
    }

    /// Takes its place in its session and a seat among the user's sockets, and tells the client. The greeting leaves before any
    /// event, and names the place after which events come.
    ///
    /// # Errors
    /// The socket, to be ended: its session is over, or the bus does not hear for this user in time.
    pub(super) async fn join(mut self, on: &Connections) -> Result<Live, Draining> {
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
            form: self.form,
            outbound: Arc::clone(self.link.outbound()),
        };
        let joining = on.hub.join(&self.identity.user, subscriber);
        let Ok(Some((seat, position))) = timeout(on.timing.join, joining).await else {
            return Err(Draining::unproven(self.link, Ending::Unavailable));
        };
        // With its seat it hears that it is one too many, as others come.
        let Ok(Ok(entry)) = timeout(on.timing.join, on.presence.enter(&caller)).await else {
            return Err(Draining::unproven(self.link, Ending::Unavailable));
        };
        let now = on.clock.now().into();
        if let Err(ending) = self.link.proven(until(self.identity.expires, now)) {
            return Err(Draining::unproven(self.link, ending));
        }
        self.link.outbound().push_first(self.greeting(&position, now));
        tracing::debug!("the socket is live");
        let open = on.metrics.connected(self.form.dialect());
        Ok(Live::new(self.link, caller, (membership, (seat, entry)), open))
    }

    fn caller(&self) -> Caller {
        Caller::new(
            &self.identity,
            (self.connection.clone(), self.form, self.origin.clone()),
            (Arc::clone(self.link.outbound()), Arc::clone(self.link.dismissal())),
        )
    }

    /// Whoever may try again is closed and not told to stay away.
    fn refuse(self, closed: Closed) -> Draining {
        let (error, ending) = match closed {
            Closed::Ended => (ErrorCode::Forbidden, Ending::SessionEnded),
            Closed::Idle => (ErrorCode::Unauthenticated, Ending::Unauthenticated),
            Closed::Unavailable => return Draining::unproven(self.link, Ending::Unavailable),
        };
        refuse(&self.link, self.request.as_ref(), error, None);
        Draining::unproven(self.link, ending)
    }

    fn greeting(&self, position: &Position, now: Timestamp) -> Message {
        let Some(encoding) = self.form.native() else {
            return socketio::connected(self.form.dialect(), self.connection.as_str(), None);
        };
        let ready = Ready {
            user_id: &self.identity.user,
            session_id: &self.identity.session,
            session: &self.connection,
            offset: position.to_string(),
            recovered: false,
            expires_at: self.identity.expires,
            server_time: now,
        };
        native::answer(encoding, name::READY, &Json::of(&ready), self.request.as_ref())
    }
}

/// `ready`: a plain WebSocket is live.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ready<'a> {
    user_id: &'a UserId,
    session_id: &'a SessionId,
    /// What the client sends back to resume.
    session: &'a ConnectionId,
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
