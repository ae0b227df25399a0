//! Handover of channels between registries, when their slots move to another server.
//!
//! A channel that was subscribed is doubtful from then on: messages are lost until the other server has confirmed it. Its messages are
//! dropped until that loss is reported, so that no gap comes before its notice.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::{Channel, ChannelState, Registry, RegistryState, ServerState};

/// Desired channel that has left a registry.
#[derive(Debug)]
pub(in crate::redis::client::subscriber) struct Departed {
    channel: Channel,
    state: ChannelState,
}

impl Departed {
    /// Name of the channel.
    pub(in crate::redis::client::subscriber) fn channel(&self) -> &Channel {
        &self.channel
    }
}

impl Registry {
    /// Removes the channels whose slots are another server's now. No command unsubscribes them: the server does by itself, and refuses it.
    pub(in crate::redis::client::subscriber) fn depart(
        &self,
        now: Instant,
        leaves: impl Fn(&str) -> bool,
    ) -> Vec<Departed> {
        let mut state = self.lock();
        let RegistryState {
            channels,
            subscribed,
            connection,
            departed,
            last_departure,
            ..
        } = &mut *state;
        let mut desired = Vec::new();
        for (channel, mut channel_state) in channels.extract_if(|channel, _| leaves(channel)) {
            let before = channel_state.server;
            channel_state.lose();
            *subscribed -= usize::from(before == ServerState::Subscribed);
            departed.insert(Arc::clone(&channel));
            *last_departure = Some(now);
            if channel_state.wanted {
                desired.push(Departed {
                    channel,
                    state: channel_state,
                });
            }
        }
        if *last_departure == Some(now) {
            // A channel may return before the batch in flight is settled, whose confirmation is then of the time before.
            *connection += 1;
            self.filter();
        }
        desired
    }

    /// Adds a channel that has left another registry, with those who wait for it.
    pub(in crate::redis::client::subscriber) fn adopt(&self, arrived: Departed) {
        let mut state = self.lock();
        let RegistryState {
            channels,
            dirty,
            departed,
            ..
        } = &mut *state;
        let Departed {
            channel,
            state: mut arriving,
        } = arrived;
        departed.remove(&channel);
        if arriving.waiters.is_empty() {
            dirty.push_back(Arc::clone(&channel));
        } else {
            dirty.push_front(Arc::clone(&channel));
        }
        let channel_state = channels.entry(channel).or_default();
        channel_state.wanted = true;
        channel_state.waiters.append(&mut arriving.waiters);
        channel_state.is_doubtful |= arriving.is_doubtful;
        if channel_state.is_doubtful {
            self.filter();
        }
        self.changed.notify_one();
    }

    /// Reports whether messages of a channel are passed on: not those of a doubtful or departed one. Without such channels it takes no
    /// lock.
    pub(in crate::redis::client::subscriber) fn accepts(&self, channel: &str) -> bool {
        if !self.is_filtered.load(Ordering::Acquire) {
            return true;
        }
        let state = self.lock();
        let channel_state = state.channels.get(channel);
        !state.departed.contains(channel) && channel_state.is_none_or(|channel_state| !channel_state.is_doubtful)
    }

    /// Forgets departed channels after a while, if no batch is in flight and no received message is left (`is_idle`), and filters no longer
    /// if no channel needs it.
    pub(in crate::redis::client::subscriber) fn relax(&self, now: Instant, is_idle: bool) {
        if !self.is_filtered.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.lock();
        let is_old = |at: Instant| now.saturating_duration_since(at) >= REMEMBERED;
        if is_idle && state.last_departure.is_none_or(is_old) {
            state.departed.clear();
        }
        let mut channels = state.channels.values();
        let is_filtered = !state.departed.is_empty() || channels.any(|channel_state| channel_state.is_doubtful);
        self.is_filtered.store(is_filtered, Ordering::Release);
    }

    /// Reports whether there are no channels.
    pub(in crate::redis::client::subscriber) fn is_empty(&self) -> bool {
        self.lock().channels.is_empty()
    }

    /// Begins to filter messages; called with the lock held, or before anyone else has the registry.
    pub(super) fn filter(&self) {
        self.is_filtered.store(true, Ordering::Release);
    }
}

/// Time for which departed channels are remembered.
const REMEMBERED: Duration = Duration::from_secs(1);
