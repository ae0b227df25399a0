//! Reads that wait: each has a connection of its own, so that nothing waits behind it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fred::interfaces::{ClientLike, StreamsInterface};
use fred::types::Value;
use fred::types::config::Options;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::connector::{Connector, Use};
use super::failure::Failure;
use super::link::Link;
use super::{Answer, COMMAND_TIMEOUT};
use crate::BusError;

/// Reads one stream for the workers of a group, one read at a time.
///
/// A connection that failed, or whose read was given up, is closed: fred does not notice that a waiting connection is dead, and
/// Redis must not hand an entry to a read that nobody waits for.
pub(in crate::redis) struct Reader {
    connector: Connector,
    turn: Semaphore,
    link: Mutex<Option<Link>>,
}

/// What a read gave.
pub(in crate::redis) enum Read {
    /// The entries, each as its id and its fields; nothing when there were none.
    Entries(Answer),
    /// The stream or the group does not exist.
    NoGroup,
}

impl Reader {
    pub(in crate::redis) fn new(connector: Connector) -> Self {
        Self {
            connector,
            turn: Semaphore::new(1),
            link: Mutex::default(),
        }
    }

    /// Waits up to `wait` for new entries and takes up to `most` of them for `worker`.
    pub(in crate::redis) async fn read(
        &self,
        stream: String,
        (group, worker): (&'static str, &str),
        most: usize,
        wait: Duration,
    ) -> Result<Read, BusError> {
        let Ok(Ok(_turn)) = timeout(wait, self.turn.acquire()).await else {
            return Ok(Read::Entries(Answer::new(STEP, Value::Null)));
        };
        let idle = self.idle().take();
        let link = match idle {
            Some(link) => link,
            None => self.connector.link(Use::Reads).await.map_err(failed)?,
        };
        let options = Options {
            timeout: Some(wait + COMMAND_TIMEOUT),
            ..Options::default()
        };
        let count = u64::try_from(most).ok();
        // Zero would mean for ever.
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        let fred = link.client().with_options(&options);
        let read = fred
            .xreadgroup(group, worker, count, Some(millis), false, stream, ">")
            .await;
        match read {
            Ok(entries) => {
                *self.idle() = Some(link);
                Ok(Read::Entries(without_stream(entries)))
            }
            Err(error) if error.details().starts_with("NOGROUP") => {
                *self.idle() = Some(link);
                Ok(Read::NoGroup)
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Option<Link>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer names the stream, and only one was asked for.
fn without_stream(entries: Value) -> Answer {
    let mut answer = Answer::new(STEP, entries);
    answer.next();
    answer
}

fn failed(error: fred::error::Error) -> BusError {
    Failure::Fred(error).at(STEP)
}

const STEP: &str = "wait for jobs";
