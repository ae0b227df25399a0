//! Join phase: a socket with a verified token, which is about to subscribe to its user's events.

use std::sync::Arc;
use std::time::Duration;

use bus::{Hint, OpenSocket, SessionKey, SocketJoin};
use lifecycle::{Clock, Entropy};
use protocol::cluster::origin::Origin;
use protocol::event::name;
use protocol::expiry::Expiry;
use protocol::id::ConnectionId;
use protocol::json::Json;
use protocol::time::Timestamp;
use protocol::wire::auth::Resume;
use protocol::wire::ready::Ready;
use protocol::wire::{Message, RequestId, native, socketio};
use tokio::time::{Instant, timeout};
use tracing::Span;

use super::JoinRate;
use super::draining::Draining;
use super::link::Link;
use super::live::{Live, LiveState};
use super::replay::Replay;
use super::resume::{Resumed, Resumption, Start};
use crate::handshake::token::Identity;
use crate::hub::{Hub, SubscribedSocket};
use crate::ids;
use crate::metrics::Metrics;
use crate::presence::PresenceRegistry;
use crate::session::{SessionMonitor, SessionRefusal};
use crate::socket::{Caller, ClientEncoding, CloseReason};

/// Services of the join phase.
pub(crate) struct Joining {
    pub(crate) rate: JoinRate,
    /// Deadline of each step on the bus.
    pub(crate) within: Duration,
    pub(crate) sessions: Arc<SessionMonitor>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) presence: Arc<PresenceRegistry>,
    pub(crate) resumption: Resumption,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Socket with a verified token.
pub(super) struct Authenticated {
    link: Box<Link>,
    identity: Identity,
    options: ClientOptions,
    origin: Origin,
    connection: ConnectionId,
}

/// Options that the client chose when it authenticated.
pub(super) struct ClientOptions {
    pub(super) encoding: ClientEncoding,
    /// Id of the `auth` request, which its answer repeats.
    pub(super) request: Option<RequestId>,
    /// Resume token and offset of an earlier socket.
    pub(super) resume: Option<Resume>,
}

impl Authenticated {
    pub(super) fn new(
        link: Box<Link>,
        identity: Identity,
        options: ClientOptions,
        origin: Origin,
        entropy: &dyn Entropy,
    ) -> Self {
        Self {
            link,
            identity,
            options,
            origin,
            connection: ids::connection(entropy),
        }
    }

    /// Redeems the resume token, subscribes to the user's events, joins the session and greets the client. The greeting is sent before
    /// any event, and names the offset after which events follow. Returned with the socket are the hints for its checks.
    ///
    /// # Errors
    /// The socket, to be closed: its user exceeded the join rate, its session has ended, or the bus did not answer in time.
    pub(super) async fn join(mut self, on: &Joining) -> Result<(Box<Live>, Hint), Draining> {
        match self.try_join(on).await {
            Ok((caller, state, hint)) => Ok((Live::new(self.link, caller, state), hint)),
            Err(reason) => Err(Draining::unauthenticated(self.link, reason)),
        }
    }

    async fn try_join(&mut self, on: &Joining) -> Result<(Arc<Caller>, LiveState, Hint), CloseReason> {
        if !on.rate.admit(&self.identity.user, Instant::now()) {
            return Err(CloseReason::JoinRate);
        }
        let resumed = self.resume(on).await?;
        if let Some(resumed) = &resumed {
            self.connection = resumed.connection.clone();
        }
        Span::current()
            .record("conn", self.connection.as_str())
            .record("user", self.identity.user.as_str());
        let caller = Arc::new(self.caller());
        let joining = on.hub.join(&self.identity.user, self.subscribed_socket(on));
        let Ok(Some(subscription)) = timeout(on.within, joining).await else {
            return Err(CloseReason::Unavailable);
        };
        let (entry, socket) = on.presence.enter(&caller);
        let join = self.socket_join(socket, resumed.is_some(), on);
        let joining = on.sessions.join(&caller, &join);
        let (membership, joined) = self.in_session(on.within, joining).await?;
        let offset = joined.offset;
        subscription.open(&offset);
        // Subscribed, each node is notified of sockets to be removed.
        let closing = on.presence.close_surplus(&self.identity.user, joined.surplus);
        let Ok(Ok(())) = timeout(on.within, closing).await else {
            return Err(CloseReason::Unavailable);
        };
        let start = match resumed {
            Some(resumed) => Start::resumed(resumed),
            None => Start::fresh(offset.clone(), joined.lease),
        };
        let now = on.clock.now().into();
        self.link.authenticated(caller.token_deadline(now))?;
        let expiry = caller.expiry(now.plus(joined.session.left));
        self.link.outbound().push_first(self.greeting(&start, expiry, now));
        tracing::debug!(start.recovered, "socket is live");
        if let Some(lease) = &start.lease {
            subscription.set_resume_state(lease.clone());
        }
        let replay = Replay::new(Arc::clone(self.link.outbound()), start.after, start.page, offset);
        let state = LiveState {
            membership,
            _entry: entry,
            subscription,
            lease: start.lease,
            replay: Some(Box::new(replay)),
            recovered: start.recovered,
            _open: on.metrics.connected(self.options.encoding.dialect()),
        };
        Ok((caller, state, joined.hint))
    }

    async fn resume(&mut self, on: &Joining) -> Result<Option<Resumed>, CloseReason> {
        let received_at = on.clock.now().into();
        let Some(resume) = &self.options.resume else {
            return Ok(None);
        };
        let resumed = on
            .resumption
            .resume(resume, &self.identity, received_at, &on.metrics)
            .await;
        resumed.map_err(|_unavailable| CloseReason::Unavailable)
    }

    /// Awaits a step of the session; a refusal is sent to the client. A Socket.IO client that may try again receives only the close:
    /// after a `CONNECT_ERROR` it would not reconnect by itself.
    async fn in_session<T>(
        &mut self,
        within: Duration,
        step: impl Future<Output = Result<T, SessionRefusal>>,
    ) -> Result<T, CloseReason> {
        let step = timeout(within, step).await;
        let refusal = match step.unwrap_or(Err(SessionRefusal::Unavailable)) {
            Ok(joined) => return Ok(joined),
            Err(refusal) => refusal,
        };
        let reason = match refusal {
            SessionRefusal::Ended => CloseReason::SessionEnded,
            SessionRefusal::Idle => CloseReason::Unauthenticated,
            SessionRefusal::Unavailable => CloseReason::Unavailable,
        };
        if reason != CloseReason::Unavailable || self.options.encoding.native().is_some() {
            self.link.refuse_auth(self.options.request.as_ref(), refusal.failure());
        }
        Err(reason)
    }

    /// Join of a socket; a client that can resume gets a resume token, unless it has redeemed one.
    fn socket_join(&self, socket: OpenSocket, has_resumed: bool, on: &Joining) -> SocketJoin {
        let is_token_due = !has_resumed && self.options.encoding.recovers();
        SocketJoin {
            session: SessionKey {
                user: self.identity.user.clone(),
                session: self.identity.session.clone(),
            },
            token: (&self.identity).into(),
            socket,
            max_sockets: on.presence.cap(),
            resume_token: is_token_due.then(|| ids::resume_token(&*on.entropy)),
            alert_check: Some(on.entropy.token()),
        }
    }

    fn caller(&self) -> Caller {
        Caller::new(
            &self.identity,
            (self.connection.clone(), self.options.encoding, self.origin.clone()),
            (Arc::clone(self.link.outbound()), Arc::clone(self.link.close_request())),
        )
    }

    fn subscribed_socket(&self, on: &Joining) -> SubscribedSocket {
        SubscribedSocket {
            close_request: Arc::clone(self.link.close_request()),
            session_hints: on.sessions.hints().clone(),
            connection: self.connection.clone(),
            session: self.identity.session.clone(),
            encoding: self.options.encoding,
            outbound: Arc::clone(self.link.outbound()),
        }
    }

    fn greeting(&self, start: &Start, expiry: Expiry, now: Timestamp) -> Message {
        let token = start.lease.as_ref().map(|lease| lease.key.id.as_str());
        let encoding = self.options.encoding;
        let Some(encoding) = encoding.native() else {
            return socketio::connected(encoding.dialect(), self.connection.as_str(), token);
        };
        let ready = Ready {
            user_id: self.identity.user.clone(),
            session_id: self.identity.session.clone(),
            resume_token: token.unwrap_or_default().to_owned(),
            offset: start.after.to_string(),
            recovered: start.recovered,
            expiry,
            server_time: now,
        };
        native::answer(encoding, name::READY, &Json::of(&ready), self.options.request.as_ref())
    }
}
