//! A socket with a seat: it may send and receive.

use std::sync::Arc;

use protocol::answer::Failure;
use protocol::code::ErrorCode;
use protocol::event::{Notice, name};
use protocol::security::{SessionEnd, SessionExpired};
use protocol::time::Timestamp;
use protocol::wire::{Push, Request};

use super::accepted::{Accepted, ROOT};
use super::codec::Said;
use super::draining::Draining;
use super::ending::Ending;
use super::task::{Heard, Link};
use crate::command::{Caller, Commands};
use crate::hub::Seat;
use crate::metrics::OpenSocket;

/// A socket that is served.
pub(super) struct Live {
    link: Box<Link>,
    caller: Arc<Caller>,
    /// The token's end.
    expires: Timestamp,
    /// Given back with the rest when the socket is no longer served.
    _seat: Seat,
    _open: OpenSocket,
}

/// How serving came to an end.
pub(super) enum Served {
    /// The client left and keeps the WebSocket.
    Left(Accepted),
    /// The socket is to be ended.
    Ended(Draining),
}

/// What serving one message leads to.
enum Next {
    GoOn,
    Leave,
}

impl Live {
    pub(super) fn new(link: Box<Link>, caller: Arc<Caller>, seat: Seat, expires: Timestamp, open: OpenSocket) -> Self {
        Self {
            link,
            caller,
            expires,
            _seat: seat,
            _open: open,
        }
    }

    /// The socket, as commands see it.
    pub(super) fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// Serves the client until it leaves or the socket is to be ended. The seat is given back then.
    pub(super) async fn serve(mut self, commands: &Arc<Commands>) -> Served {
        loop {
            let next = match self.link.next().await {
                Ok(heard) => self.obey(heard, commands),
                Err(ending) => Err(ending),
            };
            match next {
                Ok(Next::GoOn) => {}
                Ok(Next::Leave) => return Served::Left(Accepted::left(self.link)),
                Err(ending) => return Served::Ended(self.end(ending)),
            }
        }
    }

    fn obey(&mut self, heard: Heard, commands: &Arc<Commands>) -> Result<Next, Ending> {
        match (heard.said, heard.held_back) {
            (Said::Request(request), Some(wait)) => commands.hold_back(&self.caller, &request, wait),
            (Said::Request(request), None) => self.serve_request(request, commands),
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

    fn serve_request(&self, request: Request, commands: &Arc<Commands>) {
        if request.event == name::AUTH && self.caller.form.native().is_some() {
            // One socket is one caller: another token for it comes with `auth:refresh`.
            let failure = Failure::saying(ErrorCode::BadRequest, "event: this socket is authenticated already");
            commands.refuse(&self.caller, Some(request.event), &failure, request.id.as_ref());
            return;
        }
        commands.take(&self.caller, request);
    }

    fn end(self, ending: Ending) -> Draining {
        if ending == Ending::TokenExpired {
            let notice = Notice::SessionExpired(SessionExpired {
                user_id: self.caller.user.clone(),
                timestamp: self.expires,
                reason: SessionEnd::TokenExpired,
            });
            self.link.send(self.caller.form.push(&Push {
                event: notice.name().to_owned(),
                data: notice.data(),
                offset: None,
            }));
        }
        Draining::live(self.link, ending, self.caller)
    }
}
