//! Registry of a shard's channels: desired ones and those that the server has confirmed. One task reconciles the connection
//! with it, batch by batch.

mod handover;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fred::error::Error;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// Name of a channel.
pub(in crate::redis) type Channel = Arc<str>;

/// Reply of the server to a subscription: confirmed, or its error reply.
type Confirmation = Result<(), Error>;

/// Receiver of the reply to a subscription.
pub(super) type Confirmed = oneshot::Receiver<Confirmation>;

/// Desired channels. Any task changes them; the shard's task takes and settles one batch at a time.
#[derive(Debug, Default)]
pub(super) struct Registry {
    state: Mutex<RegistryState>,
    changed: Notify,
    /// True while there may be channels whose messages are dropped: see [`Registry::accepts`].
    is_filtered: AtomicBool,
}

#[derive(Debug, Default)]
struct RegistryState {
    channels: HashMap<Channel, ChannelState>,
    /// Channels that may need a command.
    dirty: VecDeque<Channel>,
    /// Number of subscribed channels.
    subscribed: usize,
    /// Number of starts and departures. Confirmations of batches from before the last one do not count.
    connection: u64,
    /// Channels that the server has refused as those of another one.
    moved: Vec<Channel>,
    /// Channels that have left this registry, while a batch or received messages may still be about them.
    departed: HashSet<Channel>,
    /// Time at which channels last left.
    last_departure: Option<Instant>,
}

/// Desired and actual state of one channel.
#[derive(Debug, Default)]
struct ChannelState {
    wanted: bool,
    server: ServerState,
    waiters: Vec<oneshot::Sender<Confirmation>>,
    /// True from a possible loss of messages until it is reported, after the channel was subscribed again.
    is_doubtful: bool,
}

/// State of a subscription at the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ServerState {
    #[default]
    Unsubscribed,
    /// Requested, and not confirmed.
    Unconfirmed,
    /// Refused: another server owns the slot.
    Moved,
    Subscribed,
}

/// Commands for the connection.
#[derive(Debug)]
pub(super) struct Batch {
    connection: u64,
    pub(super) unsubscribe: Vec<Channel>,
    pub(super) subscribe: Vec<Channel>,
}

/// Result of a batch.
#[derive(Debug, Default)]
pub(super) struct BatchResult {
    /// True if the unsubscriptions were sent.
    pub(super) unsubscribed: bool,
    /// Channels that the server has confirmed.
    pub(super) confirmed: Vec<Channel>,
    /// Channels that the server has refused, each with its error reply.
    pub(super) refused: Vec<(Channel, Error)>,
    /// Channels that the server has refused as those of another one, or because their slot is not served now.
    pub(super) moved: Vec<Channel>,
}

impl Registry {
    /// Adds a desired channel. The receiver resolves when the server has confirmed or refused it; none if it is confirmed
    /// already.
    pub(super) fn subscribe(&self, channel: Channel) -> Option<Confirmed> {
        let mut state = self.lock();
        let RegistryState {
            channels,
            dirty,
            departed,
            ..
        } = &mut *state;
        departed.remove(&channel);
        let channel_state = channels.entry(Arc::clone(&channel)).or_default();
        let known = std::mem::replace(&mut channel_state.wanted, true);
        if channel_state.server == ServerState::Subscribed {
            return None;
        }
        if !known {
            // In front: after a reconnect a new subscription must not wait for 100,000 restored ones.
            dirty.push_front(channel);
            self.changed.notify_one();
        }
        let (confirm, confirmed) = oneshot::channel();
        channel_state.waiters.push(confirm);
        Some(confirmed)
    }

    /// Removes a desired channel.
    pub(super) fn unsubscribe(&self, channel: &str) {
        let mut state = self.lock();
        let RegistryState { channels, dirty, .. } = &mut *state;
        if let Some(channel_state) = channels.get_mut(channel).filter(|channel_state| channel_state.wanted) {
            channel_state.wanted = false;
            channel_state.waiters.clear();
            dirty.push_back(Arc::from(channel));
            self.changed.notify_one();
        }
    }

    /// Resolves when a batch may be due.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes the next batch of up to `most` channels, if any.
    pub(super) fn next_batch(&self, most: usize) -> Option<Batch> {
        let mut state = self.lock();
        let RegistryState {
            channels,
            dirty,
            subscribed,
            connection,
            ..
        } = &mut *state;
        let mut batch = Batch {
            connection: *connection,
            unsubscribe: Vec::new(),
            subscribe: Vec::new(),
        };
        while batch.unsubscribe.len() + batch.subscribe.len() < most {
            let Some(channel) = dirty.pop_front() else { break };
            match channels
                .get(&channel)
                .map(|channel_state| (channel_state.wanted, channel_state.server))
            {
                Some((true, ServerState::Unsubscribed | ServerState::Unconfirmed)) => batch.subscribe.push(channel),
                Some((false, server)) => {
                    // Removed now, not when settled: a new subscription from here on belongs to a later batch.
                    channels.remove(&channel);
                    *subscribed -= usize::from(server == ServerState::Subscribed);
                    if matches!(server, ServerState::Subscribed | ServerState::Unconfirmed) {
                        batch.unsubscribe.push(channel);
                    }
                }
                Some((true, ServerState::Subscribed | ServerState::Moved)) | None => {}
            }
        }
        let empty = batch.unsubscribe.is_empty() && batch.subscribe.is_empty();
        (!empty).then_some(batch)
    }

    /// Records the result of a batch. Returns the subscribed channels whose messages may have been lost before: those of a lost
    /// connection or of another server, and those that a caller had stopped waiting for.
    pub(super) fn settle(&self, batch: Batch, done: &BatchResult) -> Vec<Channel> {
        let mut state = self.lock();
        // A confirmation from before does not count, but part of the batch may have run on this connection.
        let doubtful = if batch.connection == state.connection {
            state.confirm(&done.confirmed)
        } else {
            Vec::new()
        };
        state.refuse(&done.refused);
        if !done.refused.is_empty() {
            self.filter();
        }
        let RegistryState {
            channels,
            dirty,
            moved,
            departed,
            ..
        } = &mut *state;
        for channel in &done.moved {
            if let Some(channel_state) = channels.get_mut(channel) {
                channel_state.server = ServerState::Moved;
                moved.push(Arc::clone(channel));
            }
        }
        for channel in done.confirmed.iter().filter(|channel| departed.contains(*channel)) {
            // The server may keep this subscription, if its slot came back and nobody wants it any more.
            channels.entry(Arc::clone(channel)).or_default().server = ServerState::Unconfirmed;
            dirty.push_back(Arc::clone(channel));
        }
        for channel in batch.subscribe {
            if departed.contains(&channel) {
                continue;
            }
            let channel_state = channels.entry(Arc::clone(&channel)).or_default();
            if !matches!(channel_state.server, ServerState::Subscribed | ServerState::Moved) {
                channel_state.server = ServerState::Unconfirmed;
                dirty.push_back(channel);
            }
        }
        if !done.unsubscribed {
            for channel in batch.unsubscribe {
                channels.entry(Arc::clone(&channel)).or_default().server = ServerState::Unconfirmed;
                dirty.push_back(channel);
            }
        }
        doubtful
    }

    /// Starts again on a new connection, which has no subscriptions, or on one that has lost some.
    pub(super) fn restart(&self) {
        let mut state = self.lock();
        let RegistryState {
            channels,
            dirty,
            subscribed,
            connection,
            moved,
            ..
        } = &mut *state;
        *connection += 1;
        *subscribed = 0;
        moved.clear();
        channels.retain(|_, channel_state| channel_state.wanted);
        channels.values_mut().for_each(ChannelState::lose);
        dirty.clear();
        dirty.extend(channels.keys().cloned());
        self.filter();
        self.changed.notify_one();
    }

    /// Subscribes again what the server has refused as channels of another one.
    pub(super) fn retry_moved(&self) {
        let mut state = self.lock();
        let RegistryState {
            channels, dirty, moved, ..
        } = &mut *state;
        for channel in moved.drain(..) {
            if let Some(channel_state) = channels.get_mut(&channel)
                && channel_state.server == ServerState::Moved
            {
                channel_state.server = ServerState::Unsubscribed;
                dirty.push_back(channel);
            }
        }
    }

    /// Number of channels that the server has confirmed.
    pub(super) fn subscribed(&self) -> usize {
        self.lock().subscribed
    }

    /// Reports whether no batch is due.
    pub(super) fn is_settled(&self) -> bool {
        self.lock().dirty.is_empty()
    }

    /// Desired channels.
    pub(super) fn channels(&self) -> Vec<Channel> {
        let state = self.lock();
        let wanted = state.channels.iter().filter(|(_, channel_state)| channel_state.wanted);
        wanted.map(|(channel, _)| Arc::clone(channel)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, RegistryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RegistryState {
    /// Records confirmed channels. Returns those with a possible loss of messages before.
    fn confirm(&mut self, confirmed: &[Channel]) -> Vec<Channel> {
        let mut doubtful = Vec::new();
        for channel in confirmed {
            if let Some(channel_state) = self.channels.get_mut(channel) {
                let before = std::mem::replace(&mut channel_state.server, ServerState::Subscribed);
                self.subscribed += usize::from(before != ServerState::Subscribed);
                let waiters = channel_state.waiters.drain(..);
                let left = waiters.filter_map(|confirm| confirm.send(Ok(())).err()).count();
                if std::mem::take(&mut channel_state.is_doubtful) || left > 0 {
                    doubtful.push(Arc::clone(channel));
                }
            }
        }
        doubtful
    }

    /// Passes refusals on to those who wait. The channels stay desired.
    fn refuse(&mut self, refused: &[(Channel, Error)]) {
        for (channel, refusal) in refused {
            if let Some(channel_state) = self.channels.get_mut(channel) {
                channel_state.is_doubtful = true;
                for confirm in channel_state.waiters.drain(..) {
                    // A caller that stopped waiting needs no refusal.
                    drop(confirm.send(Err(refusal.clone())));
                }
            }
        }
    }
}

impl ChannelState {
    /// Records that the server no longer has the subscription.
    fn lose(&mut self) {
        self.is_doubtful |= self.server == ServerState::Subscribed;
        self.server = ServerState::Unsubscribed;
    }
}

#[cfg(test)]
mod tests;
