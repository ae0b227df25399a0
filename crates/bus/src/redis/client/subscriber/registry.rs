//! Which channels are wanted, and which of them the server has confirmed. This is the truth: what a connection knows is made to
//! agree with it, batch by batch, by one task.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fred::error::Error;
use tokio::sync::{Notify, oneshot};

/// The name of a channel.
pub(super) type Channel = Arc<str>;

/// What the server said to a subscription: confirmed, or its refusal.
type Outcome = Result<(), Error>;

/// Wishes come from anywhere; batches are taken and settled by the one task that has the connection, one at a time.
#[derive(Debug, Default)]
pub(super) struct Registry {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    channels: HashMap<Channel, Slot>,
    /// Channels whose slot may ask for something to be done.
    dirty: VecDeque<Channel>,
    /// Counts the connections. What was done on an earlier one does not count.
    connection: u64,
}

/// What is wanted of one channel and what is so.
#[derive(Debug, Default)]
struct Slot {
    wanted: bool,
    held: Held,
    waiting: Vec<oneshot::Sender<Outcome>>,
}

/// Whether the server has a subscription on the connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Held {
    #[default]
    No,
    /// It was asked for and not confirmed.
    Perhaps,
    Yes,
}

/// Something to be done with the connection: first give up, then take up.
#[derive(Debug)]
pub(super) struct Batch {
    connection: u64,
    pub(super) give_up: Vec<Channel>,
    pub(super) take_up: Vec<Channel>,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Whether the giving up was sent.
    pub(super) gave_up: bool,
    /// The channels that the server has confirmed.
    pub(super) confirmed: Vec<Channel>,
    /// The channels that it has refused, each with its reply.
    pub(super) refused: Vec<(Channel, Error)>,
}

impl Registry {
    /// Wants a channel. What is given back resolves when the server has confirmed or refused it; none when it is confirmed
    /// already.
    pub(super) fn want(&self, channel: Channel) -> Option<oneshot::Receiver<Outcome>> {
        let mut state = self.lock();
        let State { channels, dirty, .. } = &mut *state;
        let slot = channels.entry(Arc::clone(&channel)).or_default();
        let known = std::mem::replace(&mut slot.wanted, true);
        if slot.held == Held::Yes {
            return None;
        }
        if !known {
            // In front: after a reconnect someone who is new must not wait for 100,000 others.
            dirty.push_front(channel);
            self.changed.notify_one();
        }
        let (confirm, confirmed) = oneshot::channel();
        slot.waiting.push(confirm);
        Some(confirmed)
    }

    /// No longer wants a channel.
    pub(super) fn unwant(&self, channel: &str) {
        let mut state = self.lock();
        let State { channels, dirty, .. } = &mut *state;
        if let Some(slot) = channels.get_mut(channel).filter(|slot| slot.wanted) {
            slot.wanted = false;
            slot.waiting.clear();
            dirty.push_back(Arc::from(channel));
            self.changed.notify_one();
        }
    }

    /// Comes to its end when there may be something to do.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The next up to `most` things to do, if there are any.
    pub(super) fn next_batch(&self, most: usize) -> Option<Batch> {
        let mut state = self.lock();
        let State {
            channels,
            dirty,
            connection,
        } = &mut *state;
        let mut batch = Batch {
            connection: *connection,
            give_up: Vec::new(),
            take_up: Vec::new(),
        };
        while batch.give_up.len() + batch.take_up.len() < most {
            let Some(channel) = dirty.pop_front() else { break };
            match channels.get(&channel).map(|slot| (slot.wanted, slot.held)) {
                Some((true, Held::No | Held::Perhaps)) => batch.take_up.push(channel),
                Some((false, held)) => {
                    // Forgotten now, not when it is done: who wants it from here on is taken up by a later batch.
                    channels.remove(&channel);
                    if held != Held::No {
                        batch.give_up.push(channel);
                    }
                }
                Some((true, Held::Yes)) | None => {}
            }
        }
        let empty = batch.give_up.is_empty() && batch.take_up.is_empty();
        (!empty).then_some(batch)
    }

    /// A batch is done. True when a confirmation came after someone had given up waiting for it.
    pub(super) fn settle(&self, batch: Batch, done: &Done) -> bool {
        let mut state = self.lock();
        let State {
            channels,
            dirty,
            connection,
        } = &mut *state;
        // On another connection a confirmation proves nothing, but part of the batch may have been done on this one.
        let confirmed = if batch.connection == *connection {
            done.confirmed.as_slice()
        } else {
            &[]
        };
        let mut late = false;
        for channel in confirmed {
            if let Some(slot) = channels.get_mut(channel) {
                slot.held = Held::Yes;
                for confirm in slot.waiting.drain(..) {
                    late |= confirm.send(Ok(())).is_err();
                }
            }
        }
        for (channel, refusal) in &done.refused {
            let waiting = channels.get_mut(channel).map(|slot| std::mem::take(&mut slot.waiting));
            for confirm in waiting.unwrap_or_default() {
                // Whoever gave up waiting misses nothing.
                drop(confirm.send(Err(refusal.clone())));
            }
        }
        for channel in batch.take_up {
            let slot = channels.entry(Arc::clone(&channel)).or_default();
            if slot.held != Held::Yes {
                slot.held = Held::Perhaps;
                dirty.push_back(channel);
            }
        }
        if !done.gave_up {
            for channel in batch.give_up {
                channels.entry(Arc::clone(&channel)).or_default().held = Held::Perhaps;
                dirty.push_back(channel);
            }
        }
        late
    }

    /// The connection is another one: nothing is held any more.
    pub(super) fn lost(&self) {
        let mut state = self.lock();
        let State {
            channels,
            dirty,
            connection,
        } = &mut *state;
        *connection += 1;
        channels.retain(|_, slot| slot.wanted);
        channels.values_mut().for_each(|slot| slot.held = Held::No);
        dirty.clear();
        dirty.extend(channels.keys().cloned());
        self.changed.notify_one();
    }

    /// Whether nothing is left to do.
    pub(super) fn is_settled(&self) -> bool {
        self.lock().dirty.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
