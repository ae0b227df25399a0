//! Subscriptions at one primary.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::registry::{Channel, Registry};
use crate::redis::settings::Endpoint;

/// Subscriptions at one primary: what the handle of a subscriber and the task of the shard share.
#[derive(Debug)]
pub(super) struct Shard {
    server: Endpoint,
    pub(super) registry: Registry,
    state: Mutex<ShardState>,
    /// Ends the task of the shard.
    end: CancellationToken,
}

#[derive(Debug)]
struct ShardState {
    probe: Channel,
    is_live: bool,
    silence: Duration,
}

impl Shard {
    /// Shard whose probe messages have a channel in one of its slots.
    pub(super) fn new(server: Endpoint, probe: Channel, end: CancellationToken) -> Self {
        let registry = Registry::default();
        // Its confirmation is awaited by whoever opens the subscriber.
        drop(registry.subscribe(Arc::clone(&probe)));
        Self {
            server,
            registry,
            state: Mutex::new(ShardState {
                probe,
                is_live: false,
                silence: Duration::ZERO,
            }),
            end,
        }
    }

    /// Primary.
    pub(super) fn server(&self) -> &Endpoint {
        &self.server
    }

    /// Token that ends the task of the shard.
    pub(super) fn end(&self) -> &CancellationToken {
        &self.end
    }

    /// Channel of the probe messages.
    pub(super) fn probe(&self) -> Channel {
        Arc::clone(&self.lock().probe)
    }

    /// Exchanges the channel of the probe messages, whose slot has left the server.
    pub(super) fn replace_probe(&self, probe: Channel) {
        drop(self.registry.subscribe(Arc::clone(&probe)));
        self.lock().probe = probe;
    }

    /// Reports whether all desired channels are subscribed, and probe messages arrive.
    pub(super) fn is_live(&self) -> bool {
        self.lock().is_live
    }

    /// Time since a probe message last came back.
    pub(super) fn silence(&self) -> Duration {
        self.lock().silence
    }

    /// Records a heartbeat.
    pub(super) fn record(&self, is_live: bool, silence: Duration) {
        let mut state = self.lock();
        state.is_live = is_live;
        state.silence = silence;
    }

    /// Records that subscriptions are lost.
    pub(super) fn mark_down(&self) {
        self.lock().is_live = false;
    }

    fn lock(&self) -> MutexGuard<'_, ShardState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
