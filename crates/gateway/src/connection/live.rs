//! Live phase: a subscribed socket, whose client sends requests and receives events.

use std::sync::Arc;

use bus::ResumeLease;
use lifecycle::Clock;
use protocol::answer::Failure;
use protocol::cluster::origin::Origin;
use protocol::code::ErrorCode;
use protocol::command::{CommandKind, Executor, SessionStep};
use protocol::event::{Notice, name};
use protocol::security::{SessionEnd, SessionExpired};
use protocol::time::Timestamp;
use protocol::wire::Request;

use super::codec::{ClientMessage, ROOT};
use super::draining::Draining;
use super::link::{Link, Received};
use super::replay::{self, Replay, ReplayStep};
use super::resume::Resumption;
use crate::command::Commands;
use crate::handshake::authenticator::Authenticator;
use crate::hub::Subscription;
use crate::metrics::OpenSocket;
use crate::presence::PresenceEntry;
use crate::session::{Membership, SessionMonitor};
use crate::socket::{Caller, CloseReason};

/// Services of the live phase.
pub(crate) struct Serving {
    pub(crate) commands: Arc<Commands>,
    pub(crate) sessions: Arc<SessionMonitor>,
    /// Verifies tokens of `auth:refresh`.
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) resumption: Resumption,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Live socket. Its phase is passed on in a box: an asynchronous function holds its argument twice.
pub(super) struct Live {
    link: Box<Link>,
    caller: Arc<Caller>,
    state: LiveState,
}

/// Registrations of a live socket, released when it is no longer served.
pub(super) struct LiveState {
    pub(super) membership: Membership,
    pub(super) _entry: PresenceEntry,
    pub(super) subscription: Subscription,
    /// Resume token of the client.
    pub(super) lease: Option<ResumeLease>,
    /// Replay of missed events; `None` once it has caught up.
    pub(super) replay: Option<Box<Replay>>,
    /// True if the client resumed and missed no event.
    pub(super) recovered: bool,
    pub(super) _open: OpenSocket,
}

/// Result of serving a socket.
pub(super) enum Served {
    /// The client disconnected and keeps the WebSocket.
    Left(Box<Link>, Origin),
    /// The socket is to be closed.
    Ended(Draining),
}

/// Result of serving one message.
enum AfterMessage {
    Continue,
    Disconnect,
}

impl Live {
    pub(super) fn new(link: Box<Link>, caller: Arc<Caller>, state: LiveState) -> Box<Self> {
        Box::new(Self { link, caller, state })
    }

    /// True if the client resumed and missed no event.
    pub(super) fn is_recovered(&self) -> bool {
        self.state.recovered
    }

    /// Caller of this socket's commands.
    pub(super) fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// Serves the client until it disconnects or the socket is to be closed. The subscription ends then.
    pub(super) async fn serve(mut self: Box<Self>, on: &Serving) -> Served {
        loop {
            let LiveState {
                replay, subscription, ..
            } = &mut self.state;
            let received = tokio::select! {
                biased;
                received = self.link.next() => received,
                step = replay::step(replay, subscription) => {
                    if step == ReplayStep::Done {
                        self.state.replay = None;
                    }
                    continue;
                }
            };
            let next = match received {
                // Boxed, as it is rare: inline, the task of a socket would hold its memory for as long as the socket is open.
                Ok(received) => Box::pin(self.handle(received, on)).await,
                Err(reason) => Err(reason),
            };
            if matches!(next, Ok(AfterMessage::Disconnect) | Err(CloseReason::Resync)) {
                Box::pin(self.void_resume_token(&on.resumption)).await;
            }
            match next {
                Ok(AfterMessage::Continue) => {}
                Ok(AfterMessage::Disconnect) => return Served::Left(self.link, self.caller.origin.clone()),
                Err(reason) => return Served::Ended(self.end(reason, on)),
            }
        }
    }

    async fn handle(&mut self, received: Received, on: &Serving) -> Result<AfterMessage, CloseReason> {
        let commands = &on.commands;
        match (received.message, received.retry_after) {
            (ClientMessage::Request(request), Some(wait)) => commands.reject_excess(&self.caller, &request, wait),
            (ClientMessage::Request(request), None) => {
                if !renews_session(&request) {
                    on.sessions.activity(&self.caller);
                }
                self.serve_request(request, on).await?;
            }
            (ClientMessage::NoEvent(id), retry_after) => {
                commands.refuse_nameless(&self.caller, id.as_ref(), retry_after);
            }
            (ClientMessage::Disconnect { namespace }, _) if namespace == ROOT => {
                self.link.disconnected()?;
                return Ok(AfterMessage::Disconnect);
            }
            (ClientMessage::Connect { namespace, .. }, _) if namespace != ROOT => {
                self.link.refuse_namespace(&namespace);
            }
            // The reference implementation closes: a second CONNECT, or a DISCONNECT from a namespace that was never joined.
            (ClientMessage::Connect { .. } | ClientMessage::Disconnect { .. }, _) => return Err(CloseReason::BadFrame),
            (ClientMessage::Pong | ClientMessage::Incomplete, _) => {}
        }
        Ok(AfterMessage::Continue)
    }

    async fn serve_request(&mut self, request: Request, on: &Serving) -> Result<(), CloseReason> {
        let commands = &on.commands;
        if request.event == name::AUTH && self.caller.encoding.native().is_some() {
            // The caller of a socket never changes; `auth:refresh` replaces its token.
            let failure = Failure::with_message(ErrorCode::BadRequest, "event: this socket is authenticated already");
            commands.refuse(&self.caller, Some(request.event), &failure, request.id.as_ref());
            return Ok(());
        }
        let kind = CommandKind::of_event(&request.event);
        if kind.is_some_and(|kind| kind.policy().executor == Executor::Connection) {
            if commands.refresh(&self.caller, request, &on.authenticator).await {
                let expires = self.caller.token_deadline(on.clock.now().into());
                self.state.membership.renew(expires);
                return self.link.authenticated(expires);
            }
            return Ok(());
        }
        commands.take(&self.caller, request);
        Ok(())
    }

    /// Revokes the resume token: the client has disconnected, or has missed events and has no way to be notified of that.
    async fn void_resume_token(&mut self, resumption: &Resumption) {
        if let Some(lease) = self.state.lease.take() {
            resumption.revoke_token(&lease).await;
        }
    }

    /// Notifies a client whose session has ended of the reason.
    fn end(self, reason: CloseReason, on: &Serving) -> Draining {
        let now: Timestamp = on.clock.now().into();
        let expired = match reason {
            CloseReason::TokenExpired => {
                let ends = self.caller.token().ends;
                on.sessions.token_expired(now.since(ends));
                Some((ends, SessionEnd::TokenExpired))
            }
            CloseReason::SessionIdle => Some((now, SessionEnd::Idle)),
            CloseReason::SessionEnded => Some((now, SessionEnd::Ended)),
            _ => None,
        };
        if let Some((timestamp, reason)) = expired {
            self.caller.notify(&Notice::SessionExpired(SessionExpired {
                user_id: self.caller.user.clone(),
                timestamp,
                reason,
            }));
        }
        Draining::live(self.link, reason, self.caller)
    }
}

/// True if the command itself renews the session, at once.
fn renews_session(request: &Request) -> bool {
    CommandKind::of_event(&request.event).is_some_and(|kind| kind.policy().session == SessionStep::Renew)
}
