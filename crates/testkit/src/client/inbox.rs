//! Inbox of a client: received messages that its test has not taken yet.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;

use super::{Closed, Event};
use crate::canary::Canaries;
use crate::fail::fail;

/// Inbox that the client's task fills and the test empties.
#[derive(Debug)]
pub(super) struct Inbox {
    content: Mutex<Content>,
    changed: Notify,
    canaries: Canaries,
}

/// Content of an inbox.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Events in the sequence of their arrival.
    pub(super) events: VecDeque<Event>,
    /// Answers by the id of their request.
    pub(super) answers: HashMap<u64, Event>,
    /// Server's answer to the authentication: accepted, or refused.
    pub(super) admission: Option<Result<Value, Value>>,
    /// Open packet of Engine.IO.
    pub(super) open_packet: Option<Value>,
    /// Pings of the server, answered or not.
    pub(super) pings: u64,
    /// True if Socket.IO's disconnect packet arrived.
    pub(super) disconnected: bool,
    pub(super) closed: Option<Closed>,
}

impl Inbox {
    /// Empty inbox that adds secrets in its messages to this list.
    pub(super) fn new(canaries: Canaries) -> Self {
        Self {
            content: Mutex::default(),
            changed: Notify::new(),
            canaries,
        }
    }

    /// Records the secrets in a server's message before it is filed.
    pub(super) fn record_secrets(&self, message: &Value) {
        self.canaries.record_secrets(message);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the content and wakes the waiting calls.
    pub(super) fn change(&self, change: impl FnOnce(&mut Content)) {
        change(&mut self.lock());
        self.changed.notify_waiters();
    }

    /// Waits until `take` finds something, and returns that; returns the end of the connection when it comes first.
    pub(super) async fn wait<T>(&self, take: impl Fn(&mut Content) -> Option<T>) -> Result<T, Closed> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // A change is noticed from here on, also one between the check and the wait.
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

    /// [`Inbox::wait`] that fails the test after `within` and at the end of the connection.
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
