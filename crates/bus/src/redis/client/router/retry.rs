//! Further attempts for commands that a server has refused before they ran: another one owns their slot, or the slot moves.

use std::time::Duration;

use fred::error::{Error, ErrorKind};
use fred::types::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::Client;
use crate::operation::Operation;
use crate::redis::client::COMMAND_TIMEOUT;
use crate::redis::client::command::Command;
use crate::redis::client::command_failure::CommandFailure;
use crate::redis::client::redirect::Redirect;
use crate::redis::client::shards::Route;
use crate::redis::settings::Endpoint;

/// Failure of an attempt.
pub(super) struct Failed {
    pub(super) failure: CommandFailure,
    /// Server that was asked.
    pub(super) server: Option<Endpoint>,
    /// Class of the failure of its last heartbeat.
    pub(super) fault: Option<&'static str>,
}

impl Failed {
    pub(super) fn without_server(failure: CommandFailure) -> Self {
        Self {
            failure,
            server: None,
            fault: None,
        }
    }
}

/// Further attempts for one command, all within the time of one: whoever waits for it has no more, or repeats it by itself.
pub(super) struct Retry<'a> {
    client: &'a Client,
    operation: Operation,
    until: Instant,
    /// Redirections that were followed without a pause.
    hops: u32,
    pause: Duration,
}

/// Next attempt.
enum Next {
    /// Owner of the slot, at once.
    Owner,
    /// Owner that a server has named, at once.
    Named(Endpoint),
    /// Server that receives the slot, at once.
    Receiver(Endpoint),
    /// Owner of the slot, after a pause.
    Later,
    /// None.
    Never,
}

impl<'a> Retry<'a> {
    pub(super) fn new(client: &'a Client, operation: Operation, begin: Instant) -> Self {
        Self {
            client,
            operation,
            until: begin + COMMAND_TIMEOUT,
            hops: 0,
            pause: FIRST_PAUSE,
        }
    }

    /// Sends the command until it is answered, may have been run, or the time is over.
    pub(super) async fn run(mut self, command: &mut Command<'_>, mut failed: Failed) -> Result<Value, Failed> {
        loop {
            let shards = &self.client.shards;
            let (route, asking) = match self.next(command, &failed) {
                Next::Never => return Err(failed),
                Next::Owner => (shards.owner(command.slot()), false),
                Next::Named(server) => (shards.server(&server), false),
                Next::Receiver(server) => (shards.server(&server), true),
                Next::Later => {
                    if Instant::now() + self.pause >= self.until {
                        return Err(failed);
                    }
                    sleep(self.pause).await;
                    self.pause = (2 * self.pause).min(LONGEST_PAUSE);
                    (shards.owner(command.slot()), false)
                }
            };
            let attempt = self.client.attempt(route, command, asking);
            match timeout_at(self.until, attempt).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(refused)) => failed = refused,
                Err(_elapsed) => {
                    failed.failure = Error::new(ErrorKind::Timeout, "Request timed out.").into();
                    return Err(failed);
                }
            }
        }
    }

    fn next(&mut self, command: &mut Command<'_>, failed: &Failed) -> Next {
        let error = match &failed.failure {
            CommandFailure::Opening => return Next::Later,
            CommandFailure::Unowned => {
                self.report_stale();
                return Next::Later;
            }
            CommandFailure::Fred(error) => error,
            CommandFailure::Unreachable(_)
            | CommandFailure::ClockSkew
            | CommandFailure::TooManyCommands
            | CommandFailure::Unconfirmed => return Next::Never,
        };
        if error.details().starts_with("NOSCRIPT") {
            return if command.send_text() { Next::Owner } else { Next::Never };
        }
        match Redirect::of(error) {
            Some(redirect) if self.client.is_cluster => self.follow(redirect, failed.server.as_ref()),
            _ => Next::Never,
        }
    }

    fn follow(&mut self, redirect: Redirect, from: Option<&Endpoint>) -> Next {
        self.client.metrics().redirected(redirect.kind());
        let (server, asking) = match (redirect, from) {
            (Redirect::Moved(address), Some(from)) => {
                self.report_stale();
                (address.named_by(from), false)
            }
            (Redirect::Ask(address), Some(from)) => (address.named_by(from), true),
            (Redirect::TryAgain, _) => return Next::Later,
            (Redirect::ClusterDown, _) if self.operation.is_repeatable() => {
                self.report_stale();
                return Next::Later;
            }
            (Redirect::ClusterDown | Redirect::Moved(_) | Redirect::Ask(_), _) => return Next::Never,
        };
        // Only servers of the map are used: whoever can write a reply could else name a server of theirs.
        let is_known = matches!(self.client.shards.server(&server), Route::Node(_));
        self.hops += 1;
        match (is_known && self.hops <= MAX_HOPS, asking) {
            (true, true) => Next::Receiver(server),
            (true, false) => Next::Named(server),
            (false, _) => Next::Later,
        }
    }

    fn report_stale(&self) {
        self.client.shards.context().connector.slots().report_stale();
    }
}

/// Redirections that are followed without a pause: one by an old map, one by a slot that moves, and one of each again.
const MAX_HOPS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
