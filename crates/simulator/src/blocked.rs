//! Requests whose answer waits until a test releases it, so that a test can act in the middle of a request.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio::sync::oneshot;

use crate::platform::{Platform, Route};

/// Blocked request: its work is done, and its answer waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BlockedRequest {
    /// Platform of the request.
    pub platform: Platform,
    /// Route of the request.
    pub route: Route,
}

/// Blocked requests. A request leaves the list when it is released or its caller disconnects.
#[derive(Debug, Default)]
pub(crate) struct BlockedRequests {
    next: u64,
    waiting: BTreeMap<u64, (BlockedRequest, oneshot::Sender<()>)>,
}

impl BlockedRequests {
    /// Blocked requests, oldest first.
    pub(crate) fn list(&self) -> Vec<BlockedRequest> {
        self.waiting.values().map(|(blocked, _)| *blocked).collect()
    }

    /// Releases all requests and returns their number.
    pub(crate) fn release(&mut self) -> usize {
        let waiting = std::mem::take(&mut self.waiting);
        // A request that is just ending no longer waits, and is not counted.
        waiting
            .into_values()
            .map(|(_, release)| release.send(()))
            .filter(Result::is_ok)
            .count()
    }

    /// Adds a request; the receiver resolves when it is released.
    pub(crate) fn enter(&mut self, blocked: BlockedRequest) -> (u64, oneshot::Receiver<()>) {
        let (release, released) = oneshot::channel();
        self.next += 1;
        self.waiting.insert(self.next, (blocked, release));
        (self.next, released)
    }

    /// Removes a request.
    pub(crate) fn leave(&mut self, id: u64) {
        self.waiting.remove(&id);
    }
}
