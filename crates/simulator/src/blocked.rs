//! Requests whose answer waits for the word of a test, so that something can happen exactly in the middle of one.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio::sync::oneshot;

use crate::{
    platform::{Platform, Route},
    world::World,
};

/// A request that is being held: its work is done and its answer waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BlockedRequest {
    /// The platform it came to.
    pub platform: Platform,
    /// What it is for.
    pub route: Route,
}

/// The held requests. One leaves when it is released, and also when its caller goes away.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    next: u64,
    waiting: BTreeMap<u64, (BlockedRequest, oneshot::Sender<()>)>,
}

impl Holds {
    /// The held requests, oldest first.
    pub(crate) fn list(&self) -> Vec<BlockedRequest> {
        self.waiting.values().map(|(blocked, _)| *blocked).collect()
    }

    /// Lets all of them go on; says how many there were.
    pub(crate) fn release(&mut self) -> usize {
        let waiting = std::mem::take(&mut self.waiting);
        // A request that is just ending no longer listens, and is not counted.
        waiting
            .into_values()
            .map(|(_, release)| release.send(()))
            .filter(Result::is_ok)
            .count()
    }

    fn enter(&mut self, blocked: BlockedRequest) -> (u64, oneshot::Receiver<()>) {
        let (release, released) = oneshot::channel();
        self.next += 1;
        self.waiting.insert(self.next, (blocked, release));
        (self.next, released)
    }
}

/// Waits until the request is released.
pub(crate) async fn hold(world: &World, blocked: BlockedRequest) {
    let (id, released) = world.lock().holds.enter(blocked);
    let _listed = Listed { world, id };
    // The sender leaves the list only to be used, so an error cannot come; if it did, going on is right.
    drop(released.await);
}

/// Takes the request off the list when it ends, whichever way it ends.
struct Listed<'a> {
    world: &'a World,
    id: u64,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.world.lock().holds.waiting.remove(&self.id);
    }
}
