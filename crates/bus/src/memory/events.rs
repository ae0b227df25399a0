//! Events in memory: an order per user, and the ears of the nodes in this process.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lifecycle::Entropy;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::{Epoch, Offset};
use protocol::id::{EventId, UserId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::bounds::{LOG_BYTES, LOG_LENGTH, LOG_LIFE, ORDER_LIFE, SEEN_LENGTH};
use crate::epoch::new_epoch;
use crate::letter::Letter;
use crate::outlet::Outlet;
use crate::{BusError, ChannelMessage, Events, LogRead, PublishOutcome, UserSubscriptions};

/// All orders, and all who listen.
#[derive(Debug, Default)]
pub(super) struct State {
    orders: Expiring<UserId, Order>,
    ears: Vec<Ear>,
}

#[async_trait]
impl Events for MemoryBus {
    async fn publish(&self, user: &UserId, envelope: &Envelope) -> Result<PublishOutcome, BusError> {
        let mut state = lock(&self.shared.events);
        let order = state.order(user, &*self.shared.entropy);
        // As many as it would have in Redis.
        let bytes = envelope.write()?.len();
        let envelope = Arc::new(envelope.clone());
        let Some(offset) = order.append(&envelope, bytes) else {
            return Ok(PublishOutcome::Duplicate);
        };
        let event = ChannelMessage::Event {
            user: user.clone(),
            offset: offset.clone(),
            envelope,
        };
        state.tell(user, &event);
        Ok(PublishOutcome::Assigned(offset))
    }

    async fn offsets(&self, users: &[UserId]) -> Result<Vec<Offset>, BusError> {
        let mut state = lock(&self.shared.events);
        let offset = |user| state.offset(user, &*self.shared.entropy);
        Ok(users.iter().map(offset).collect())
    }

    async fn read_log(&self, user: &UserId, after: &Offset, limit: usize) -> Result<LogRead, BusError> {
        let mut state = lock(&self.shared.events);
        let order = state.order(user, &*self.shared.entropy);
        Ok(order.since(after, limit))
    }

    async fn listen(&self) -> Result<(Arc<dyn UserSubscriptions>, mpsc::Receiver<ChannelMessage>), BusError> {
        let (outlet, heard) = Outlet::new(Outlet::BOUND);
        let feed = MemorySubscriptions::default();
        let users = Arc::clone(&feed.users);
        lock(&self.shared.events).ears.push(Ear { users, outlet });
        Ok((Arc::new(feed), heard))
    }
}

impl State {
    /// The user's order, begun now if there is none.
    fn order(&mut self, user: &UserId, entropy: &dyn Entropy) -> &mut Order {
        self.orders.renew_or(user.clone(), ORDER_LIFE, || Order::new(entropy))
    }

    /// Where the user's order stands.
    pub(super) fn offset(&mut self, user: &UserId, entropy: &dyn Entropy) -> Offset {
        self.order(user, entropy).offset()
    }

    /// Tells all who listen for the user.
    pub(super) fn tell(&mut self, user: &UserId, heard: &ChannelMessage) {
        self.ears.retain(|ear| !ear.outlet.is_closed());
        for ear in &mut self.ears {
            if lock(&ear.users).contains(user) {
                ear.outlet.pass(heard.clone());
            }
        }
    }
}

/// The order of one user: where it stands, the end of it, and the ids it has seen.
#[derive(Debug)]
struct Order {
    epoch: Epoch,
    seq: u64,
    log: VecDeque<Entry>,
    log_bytes: usize,
    log_ends: Instant,
    seen: VecDeque<EventId>,
}

/// An event in a log.
#[derive(Debug)]
struct Entry {
    offset: Offset,
    envelope: Arc<Envelope>,
    bytes: usize,
}

impl Order {
    fn new(entropy: &dyn Entropy) -> Self {
        Self {
            epoch: new_epoch(entropy),
            seq: 0,
            log: VecDeque::new(),
            log_bytes: 0,
            log_ends: Instant::now(),
            seen: VecDeque::new(),
        }
    }

    fn offset(&self) -> Offset {
        Offset {
            epoch: self.epoch.clone(),
            seq: self.seq,
        }
    }

    /// Gives the event the next place; none when its id was seen before.
    fn append(&mut self, envelope: &Arc<Envelope>, bytes: usize) -> Option<Offset> {
        if self.seen.contains(&envelope.id) {
            return None;
        }
        self.seen.push_back(envelope.id.clone());
        if self.seen.len() > SEEN_LENGTH {
            self.seen.pop_front();
        }
        self.seq += 1;
        self.end_log();
        self.log_bytes += bytes;
        self.log.push_back(Entry {
            offset: self.offset(),
            envelope: Arc::clone(envelope),
            bytes,
        });
        while self.log.len() > LOG_LENGTH || self.log_bytes > LOG_BYTES {
            let Some(oldest) = self.log.pop_front() else { break };
            self.log_bytes -= oldest.bytes;
        }
        self.log_ends = Instant::now() + LOG_LIFE;
        Some(self.offset())
    }

    fn since(&mut self, after: &Offset, limit: usize) -> LogRead {
        self.end_log();
        let first = self.log.front().map_or(self.seq + 1, |first| first.offset.seq);
        let reaches_back = after.seq <= self.seq && first <= after.seq + 1;
        if after.epoch != self.epoch || !reaches_back {
            return LogRead::Gap(self.offset());
        }
        let later = self.log.iter().filter(|entry| entry.offset.seq > after.seq);
        let event = |entry: &Entry| (entry.offset.clone(), Envelope::clone(&entry.envelope));
        LogRead::Events(later.take(limit).map(event).collect())
    }

    /// Empties the log when its time is over.
    fn end_log(&mut self) {
        if self.log_ends <= Instant::now() {
            self.log.clear();
            self.log_bytes = 0;
        }
    }
}

/// What one node listens to. It ends when the node drops the receiving end.
#[derive(Debug)]
struct Ear {
    users: Arc<Mutex<HashSet<UserId>>>,
    outlet: Outlet,
}

/// The other half of an [`Ear`].
#[derive(Debug, Default)]
struct MemorySubscriptions {
    users: Arc<Mutex<HashSet<UserId>>>,
}

#[async_trait]
impl UserSubscriptions for MemorySubscriptions {
    async fn subscribe(&self, user: &UserId) -> Result<(), BusError> {
        lock(&self.users).insert(user.clone());
        Ok(())
    }

    fn unsubscribe(&self, user: &UserId) {
        lock(&self.users).remove(user);
    }

    fn is_live(&self) -> bool {
        true
    }
}
