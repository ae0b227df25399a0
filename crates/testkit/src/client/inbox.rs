//! What a client has received and its test has not yet asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;

use super::{Closed, Event};
use crate::canary::Canaries;
use crate::fail::fail;

/// Filled by the client's task, emptied by the test.
#[derive(Debug)]
pub(super) struct Inbox {
    content: Mutex<Content>,
    changed: Notify,
    canaries: Canaries,
}

/// What is in it.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Events in the order in which they came.
    pub(super) events: VecDeque<Event>,
    /// Answers by the id of their request.
    pub(super) answers: HashMap<u64, Event>,
    /// What the server said to the wish to be let in: yes, or no.
    pub(super) admission: Option<Result<Value, Value>>,
    /// Engine.IO's open packet.
    pub(super) open_packet: Option<Value>,
    /// Pings of the server, answered or not.
    pub(super) pings: u64,
    /// Whether Socket.IO's disconnect packet came.
    pub(super) dismissed: bool,
    pub(super) closed: Option<Closed>,
}

impl Inbox {
    /// An empty one; secrets that come into it are added to this list.
    pub(super) fn new(canaries: Canaries) -> Self {
        Self {
            content: Mutex::default(),
            changed: Notify::new(),
            canaries,
        }
    }

    /// What a server says, before it is filed.
    pub(super) fn hear(&self, said: &Value) {
        self.canaries.hear(said);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the content and lets those who wait look again.
    pub(super) fn change(&self, change: impl FnOnce(&mut Content)) {
        change(&mut self.lock());
        self.changed.notify_waiters();
    }

    /// Takes what `take` finds, waiting until it does; gives how the connection ended when it did before.
    pub(super) async fn wait<T>(&self, take: impl Fn(&mut Content) -> Option<T>) -> Result<T, Closed> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on a change is noticed, also one between the look and the wait.
            changed.as_mut().enable();
            {
                let mut content = self.lock();
                if let Some(found) = take(&mut content) {
                    return Ok(found);
                }
                if let Some(closed) = &content.closed {
                    return Err(closed.clone());
                }
            }
            changed.await;
        }
    }

    /// As [`Inbox::wait`], failing the test after `within` and at the end of the connection.
    pub(super) async fn expect<T>(&self, what: &str, within: Duration, take: impl Fn(&mut Content) -> Option<T>) -> T {
        match tokio::time::timeout(within, self.wait(take)).await {
            Ok(Ok(found)) => found,
            Ok(Err(closed)) => fail(
                "go on",
                format_args!("{closed} before {what}; unread are {}", self.unread()),
            ),
            Err(_) => fail(
                "go on",
                format_args!("waited {within:?} for {what}; unread are {}", self.unread()),
            ),
        }
    }

    fn unread(&self) -> String {
        let content = self.lock();
        let events = content
            .events
            .iter()
            .map(|event| format!("{} {}", event.name, event.data));
        format!("{:?}", events.collect::<Vec<_>>())
    }
}
