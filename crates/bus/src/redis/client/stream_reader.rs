//! Blocking stream reads, on connections of their own so that no other command waits behind them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fred::interfaces::{ClientLike, StreamsInterface};
use fred::types::Value;
use fred::types::config::Options;
use lifecycle::Dependency;
use protocol::fault::chain;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::command_failure::CommandFailure;
use super::connection::Connection;
use super::connector::{Connector, Purpose};
use super::redirect::Redirect;
use super::slots::slot_of;
use super::{COMMAND_TIMEOUT, RedisReply};
use crate::BusError;
use crate::metrics::Metrics;
use crate::operation::Operation;

/// Reader of one stream for a consumer group, one read at a time.
///
/// A connection that failed, whose read was cancelled, or whose server no longer owns the stream, is closed: fred does not notice that a
/// blocked connection is dead, and Redis must not deliver an entry to a cancelled read.
pub(in crate::redis) struct StreamReader {
    connector: Connector,
    /// Server, to which outages are reported: the operation that reads does not log them.
    dependency: Dependency,
    metrics: Metrics,
    permit: Semaphore,
    connection: Mutex<Option<Connection>>,
}

/// Result of a read.
pub(in crate::redis) enum StreamRead {
    /// New entries, each as its id and its fields; empty if there were none.
    Entries(RedisReply),
    /// The stream or the consumer group does not exist.
    NoGroup,
}

impl StreamReader {
    pub(in crate::redis) fn new(connector: Connector, dependency: Dependency, metrics: Metrics) -> Self {
        Self {
            connector,
            dependency,
            metrics,
            permit: Semaphore::new(1),
            connection: Mutex::default(),
        }
    }

    /// Waits up to `wait` for new entries and reads up to `most` of them for `worker`.
    pub(in crate::redis) async fn read(
        &self,
        stream: String,
        (group, worker): (&'static str, &str),
        most: usize,
        wait: Duration,
    ) -> Result<StreamRead, BusError> {
        let Ok(Ok(_permit)) = timeout(wait, self.permit.acquire()).await else {
            return Ok(nothing());
        };
        let slots = self.connector.slots();
        let idle = self.idle().take();
        let slot = slot_of(&stream);
        let owner = slots.current().owner(slot).cloned();
        let idle = idle.filter(|connection| Some(connection.server()) == owner.as_ref());
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let opened = self.connector.open_for(&stream, Purpose::Reads).await;
                opened.map_err(|error| self.failed(error))?
            }
        };
        let options = Options {
            timeout: Some(wait + COMMAND_TIMEOUT),
            ..Options::default()
        };
        let count = u64::try_from(most).ok();
        // BLOCK 0 would block for ever.
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        let fred = connection.client().with_options(&options);
        let read = fred.xreadgroup(group, worker, count, Some(millis), false, stream, ">");
        let read = tokio::select! {
            read = read => read,
            // The next read goes to the new owner.
            () = slots.moves(slot, connection.server()) => return Ok(nothing()),
        };
        match read {
            Ok(entries) => {
                *self.idle() = Some(connection);
                Ok(StreamRead::Entries(without_stream(entries)))
            }
            Err(error) if error.details().starts_with("NOGROUP") => {
                *self.idle() = Some(connection);
                Ok(StreamRead::NoGroup)
            }
            Err(error) => match Redirect::of(&error).filter(|_| self.connector.is_cluster()) {
                Some(redirect) => {
                    self.wait_for_owner(&redirect, wait).await;
                    Ok(nothing())
                }
                None => Err(self.failed(error)),
            },
        }
    }

    /// Waits a moment for the map, or the move of the slot, that the next read needs.
    async fn wait_for_owner(&self, redirect: &Redirect, wait: Duration) {
        self.metrics.redirected(redirect.kind());
        self.connector.slots().report_stale();
        sleep(wait.min(PAUSE)).await;
    }

    fn failed(&self, error: fred::error::Error) -> BusError {
        self.metrics.failed(Operation::XReadGroup);
        let failure = CommandFailure::Fred(error);
        let outage = failure.outage();
        let error = failure.at_step(STEP);
        if let Some(class) = outage {
            self.dependency.failed(class, chain(&error));
        }
        error
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Option<Connection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn nothing() -> StreamRead {
    StreamRead::Entries(RedisReply::new(STEP, Value::Null))
}

/// Strips the stream's name from a reply: only one stream is read.
fn without_stream(entries: Value) -> RedisReply {
    let mut reply = RedisReply::new(STEP, entries);
    reply.next();
    reply
}

const STEP: &str = "read new jobs";

/// Pause after a redirection.
const PAUSE: Duration = Duration::from_millis(50);
