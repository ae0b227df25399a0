//! A socket with a seat: it may send and receive.

use std::sync::Arc;

use bus::ResumeLease;
use protocol::answer::Failure;
use protocol::cluster::origin::Origin;
use protocol::code::ErrorCode;
use protocol::command::CommandKind;
use protocol::event::{Notice, name};
use protocol::security::{SessionEnd, SessionExpired};
use protocol::time::Timestamp;
use protocol::wire::Request;

use super::Connections;
use super::accepted::ROOT;
use super::authenticated::until;
use super::codec::Said;
use super::draining::Draining;
use super::ending::Ending;
use super::replay::{self, Replay, Step};
use super::resume;
use super::task::{Heard, Link};
use crate::command::Caller;
use crate::hub::Seat;
use crate::metrics::OpenSocket;
use crate::presence::Entry;
use crate::session::Membership;

/// A socket that is served.
pub(super) struct Live {
    link: Box<Link>,
    caller: Arc<Caller>,
    standing: Standing,
}

/// What a live socket has, and gives back when it is no longer served.
pub(super) struct Standing {
    pub(super) membership: Membership,
    pub(super) _entry: Entry,
    pub(super) seat: Seat,
    /// What its client comes back with.
    pub(super) hold: Option<ResumeLease>,
    /// Its way to the present; none once it is there.
    pub(super) replay: Option<Box<Replay>>,
    /// Its client came back and missed nothing.
    pub(super) recovered: bool,
    pub(super) _open: OpenSocket,
}

/// How serving came to an end.
pub(super) enum Served {
    /// The client left and keeps the WebSocket.
    Left(Box<Link>, Origin),
    /// The socket is to be ended.
    Ended(Draining),
}

/// What serving one message leads to.
enum Next {
    GoOn,
    Leave,
}

impl Live {
    pub(super) fn new(link: Box<Link>, caller: Arc<Caller>, standing: Standing) -> Self {
        Self { link, caller, standing }
    }

    /// Whether its client came back and missed nothing.
    pub(super) fn is_recovered(&self) -> bool {
        self.standing.recovered
    }

    /// The socket, as commands see it.
    pub(super) fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// Serves the client until it leaves or the socket is to be ended. The seat is given back then.
    pub(super) async fn serve(mut self, on: &Connections) -> Served {
        loop {
            let Standing { replay, seat, .. } = &mut self.standing;
            let heard = tokio::select! {
                biased;
                heard = self.link.next() => heard,
                step = replay::step(replay, seat) => {
                    if step == Step::Done {
                        self.standing.replay = None;
                    }
                    continue;
                }
            };
            let next = match heard {
                Ok(heard) => self.obey(heard, on).await,
                Err(ending) => Err(ending),
            };
            if matches!(next, Ok(Next::Leave) | Err(Ending::Resync)) {
                self.void_ticket(on).await;
            }
            match next {
                Ok(Next::GoOn) => {}
                Ok(Next::Leave) => return Served::Left(self.link, self.caller.origin.clone()),
                Err(ending) => return Served::Ended(self.end(ending, on.clock.now().into())),
            }
        }
    }

    async fn obey(&mut self, heard: Heard, on: &Connections) -> Result<Next, Ending> {
        let commands = &on.commands;
        match (heard.said, heard.held_back) {
            (Said::Request(request), Some(wait)) => commands.hold_back(&self.caller, &request, wait),
            (Said::Request(request), None) => {
                on.sessions.activity(&self.caller);
                self.serve_request(request, on).await?;
            }
            (Said::NoEvent(id), held_back) => commands.refuse_nameless(&self.caller, id.as_ref(), held_back),
            (Said::Leave { namespace }, _) if namespace == ROOT => {
                self.link.left()?;
                return Ok(Next::Leave);
            }
            (Said::Connect { namespace, .. }, _) if namespace != ROOT => self.link.refuse_namespace(&namespace),
            // The reference closes: a second CONNECT, or leaving what was never joined.
            (Said::Connect { .. } | Said::Leave { .. }, _) => return Err(Ending::BadFrame),
            (Said::Pong | Said::Nothing, _) => {}
        }
        Ok(Next::GoOn)
    }

    async fn serve_request(&mut self, request: Request, on: &Connections) -> Result<(), Ending> {
        let commands = &on.commands;
        if request.event == name::AUTH && self.caller.form.native().is_some() {
            // One socket is one caller: another token for it comes with `auth:refresh`.
            let failure = Failure::with_message(ErrorCode::BadRequest, "event: this socket is authenticated already");
            commands.refuse(&self.caller, Some(request.event), &failure, request.id.as_ref());
            return Ok(());
        }
        if CommandKind::of_event(&request.event) == Some(CommandKind::Refresh) {
            if commands.refresh(&self.caller, request, &on.authenticator).await {
                let ends = until(self.caller.token().ends, on.clock.now().into());
                self.standing.membership.renew(ends);
                return self.link.proven(ends);
            }
            return Ok(());
        }
        commands.take(&self.caller, request);
        Ok(())
    }

    /// Nobody comes back with the ticket: the client took its leave, or could not be told that it missed nothing.
    async fn void_ticket(&mut self, on: &Connections) {
        if let Some(hold) = self.standing.hold.take() {
            resume::revoke_token(&hold, &*on.bus).await;
        }
    }

    /// A client whose session is over is told why.
    fn end(self, ending: Ending, now: Timestamp) -> Draining {
        let over = match ending {
            Ending::TokenExpired => Some((self.caller.token().ends, SessionEnd::TokenExpired)),
            Ending::SessionIdle => Some((now, SessionEnd::Idle)),
            Ending::SessionEnded => Some((now, SessionEnd::Ended)),
            _ => None,
        };
        if let Some((timestamp, reason)) = over {
            self.caller.notify(&Notice::SessionExpired(SessionExpired {
                user_id: self.caller.user.clone(),
                timestamp,
                reason,
            }));
        }
        Draining::live(self.link, ending, self.caller)
    }
}
