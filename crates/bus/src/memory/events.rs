//! Events in memory: an order per user, and the ears of the nodes in this process.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lifecycle::Entropy;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::position::{Epoch, Position};
use protocol::id::{EventId, UserId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::bounds::{LOG_BYTES, LOG_LENGTH, LOG_LIFE, ORDER_LIFE, SEEN_LENGTH};
use crate::epoch::new_epoch;
use crate::letter::Letter;
use crate::outlet::Outlet;
use crate::{BusError, Events, Feed, Heard, Past, Published};

/// All orders, and all who listen.
#[derive(Debug, Default)]
pub(super) struct State {
    orders: Expiring<UserId, Order>,
    ears: Vec<Ear>,
}

#[async_trait]
impl Events for MemoryBus {
    async fn publish(&self, user: &UserId, envelope: &Envelope) -> Result<Published, BusError> {
        let mut state = lock(&self.shared.events);
        let order = state.order(user, &*self.shared.entropy);
        // As many as it would have in Redis.
        let bytes = envelope.write()?.len();
        let envelope = Arc::new(envelope.clone());
        let Some(position) = order.append(&envelope, bytes) else {
            return Ok(Published::Before);
        };
        let event = Heard::Event {
            user: user.clone(),
            position: position.clone(),
            envelope,
        };
        state.tell(user, &event);
        Ok(Published::At(position))
    }

    async fn positions(&self, users: &[UserId]) -> Result<Vec<Position>, BusError> {
        let mut state = lock(&self.shared.events);
        let position = |user| state.position(user, &*self.shared.entropy);
        Ok(users.iter().map(position).collect())
    }

    async fn since(&self, user: &UserId, after: &Position, limit: usize) -> Result<Past, BusError> {
        let mut state = lock(&self.shared.events);
        let order = state.order(user, &*self.shared.entropy);
        Ok(order.since(after, limit))
    }

    async fn listen(&self) -> Result<(Arc<dyn Feed>, mpsc::Receiver<Heard>), BusError> {
        let (outlet, heard) = Outlet::new(Outlet::BOUND);
        let feed = MemoryFeed::default();
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
    pub(super) fn position(&mut self, user: &UserId, entropy: &dyn Entropy) -> Position {
        self.order(user, entropy).position()
    }

    /// Tells all who listen for the user.
    pub(super) fn tell(&mut self, user: &UserId, heard: &Heard) {
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
    position: Position,
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

    fn position(&self) -> Position {
        Position {
            epoch: self.epoch.clone(),
            seq: self.seq,
        }
    }

    /// Gives the event the next place; none when its id was seen before.
    fn append(&mut self, envelope: &Arc<Envelope>, bytes: usize) -> Option<Position> {
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
            position: self.position(),
            envelope: Arc::clone(envelope),
            bytes,
        });
        while self.log.len() > LOG_LENGTH || self.log_bytes > LOG_BYTES {
            let Some(oldest) = self.log.pop_front() else { break };
            self.log_bytes -= oldest.bytes;
        }
        self.log_ends = Instant::now() + LOG_LIFE;
        Some(self.position())
    }

    fn since(&mut self, after: &Position, limit: usize) -> Past {
        self.end_log();
        let first = self.log.front().map_or(self.seq + 1, |first| first.position.seq);
        let reaches_back = after.seq <= self.seq && first <= after.seq + 1;
        if after.epoch != self.epoch || !reaches_back {
            return Past::Lost(self.position());
        }
        let later = self.log.iter().filter(|entry| entry.position.seq > after.seq);
        let event = |entry: &Entry| (entry.position.clone(), Envelope::clone(&entry.envelope));
        Past::Events(later.take(limit).map(event).collect())
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
struct MemoryFeed {
    users: Arc<Mutex<HashSet<UserId>>>,
}

#[async_trait]
impl Feed for MemoryFeed {
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
