//! Registry of a subscriber's channels: desired ones and those that the server has confirmed. One task reconciles the connection
//! with it, batch by batch.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fred::error::Error;
use tokio::sync::{Notify, oneshot};

/// Name of a channel.
pub(in crate::redis) type Channel = Arc<str>;

/// Reply of the server to a subscription: confirmed, or its error reply.
type Confirmation = Result<(), Error>;

/// Desired channels. Any task changes them; the subscriber's task takes and settles one batch at a time.
#[derive(Debug, Default)]
pub(super) struct Registry {
    state: Mutex<RegistryState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct RegistryState {
    channels: HashMap<Channel, ChannelState>,
    /// Channels that may need a command.
    dirty: VecDeque<Channel>,
    /// Number of subscribed channels.
    subscribed: usize,
    /// Number of starts. Results of batches from before the last one do not count.
    connection: u64,
}

/// Desired and actual state of one channel.
#[derive(Debug, Default)]
struct ChannelState {
    wanted: bool,
    server: ServerState,
    waiters: Vec<oneshot::Sender<Confirmation>>,
}

/// State of a subscription at the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ServerState {
    #[default]
    Unsubscribed,
    /// Requested, and not confirmed.
    Unconfirmed,
    Subscribed,
}

/// Commands for the connection: first the unsubscriptions, then the subscriptions.
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
}

impl Registry {
    /// Adds a desired channel. The receiver resolves when the server has confirmed or refused it; none if it is confirmed
    /// already.
    pub(super) fn subscribe(&self, channel: Channel) -> Option<oneshot::Receiver<Confirmation>> {
        let mut state = self.lock();
        let RegistryState { channels, dirty, .. } = &mut *state;
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
                    if server != ServerState::Unsubscribed {
                        batch.unsubscribe.push(channel);
                    }
                }
                Some((true, ServerState::Subscribed)) | None => {}
            }
        }
        let empty = batch.unsubscribe.is_empty() && batch.subscribe.is_empty();
        (!empty).then_some(batch)
    }

    /// Records the result of a batch. Returns the channels whose confirmation came after a caller had stopped waiting for it.
    pub(super) fn settle(&self, batch: Batch, done: &BatchResult) -> Vec<Channel> {
        let mut state = self.lock();
        let RegistryState {
            channels,
            dirty,
            subscribed,
            connection,
        } = &mut *state;
        // A confirmation from an earlier connection does not count, but part of the batch may have run on this one.
        let confirmed = if batch.connection == *connection {
            done.confirmed.as_slice()
        } else {
            &[]
        };
        let mut late = Vec::new();
        for channel in confirmed {
            if let Some(channel_state) = channels.get_mut(channel) {
                let before = std::mem::replace(&mut channel_state.server, ServerState::Subscribed);
                *subscribed += usize::from(before != ServerState::Subscribed);
                let waiters = channel_state.waiters.drain(..);
                let left = waiters.filter_map(|confirm| confirm.send(Ok(())).err());
                if left.count() > 0 {
                    late.push(Arc::clone(channel));
                }
            }
        }
        for (channel, refusal) in &done.refused {
            let waiters = channels
                .get_mut(channel)
                .map(|channel_state| std::mem::take(&mut channel_state.waiters));
            for confirm in waiters.unwrap_or_default() {
                // A caller that stopped waiting needs no refusal.
                drop(confirm.send(Err(refusal.clone())));
            }
        }
        for channel in batch.subscribe {
            let channel_state = channels.entry(Arc::clone(&channel)).or_default();
            if channel_state.server != ServerState::Subscribed {
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
        late
    }

    /// Starts again on a new connection, which has no subscriptions, or on one that has lost some.
    pub(super) fn restart(&self) {
        let mut state = self.lock();
        let RegistryState {
            channels,
            dirty,
            subscribed,
            connection,
        } = &mut *state;
        *connection += 1;
        *subscribed = 0;
        channels.retain(|_, channel_state| channel_state.wanted);
        channels
            .values_mut()
            .for_each(|channel_state| channel_state.server = ServerState::Unsubscribed);
        dirty.clear();
        dirty.extend(channels.keys().cloned());
        self.changed.notify_one();
    }

    /// Number of channels that the server has confirmed.
    pub(super) fn subscribed(&self) -> usize {
        self.lock().subscribed
    }

    /// Reports whether no batch is due.
    pub(super) fn is_settled(&self) -> bool {
        self.lock().dirty.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, RegistryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
