//! From the bus to the sockets: a room per user with a socket here, which listens for the user as long as there is one.

mod encoded;
mod gap;
mod listen;
mod seats;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus::{Bus, Feed};
use protocol::cluster::position::Position;
use protocol::id::UserId;
use tokio::sync::Notify;

use self::seats::{Rooms, SeatId, Start};
use crate::metrics::Metrics;

pub(crate) use self::seats::Subscriber;

/// All rooms of this gateway. [`Hub::run`] is the one task that hears and delivers; sockets come and go beside it.
pub(crate) struct Hub {
    bus: Arc<dyn Bus>,
    feed: Arc<dyn Feed>,
    rooms: Mutex<Rooms>,
    /// There is work for the task.
    work: Notify,
    metrics: Arc<Metrics>,
}

/// A socket's seat. Dropping it gives it back.
pub(crate) struct Seat {
    hub: Arc<Hub>,
    user: UserId,
    id: SeatId,
}

impl Hub {
    /// A hub without rooms over this node's ear.
    pub(crate) fn new(bus: Arc<dyn Bus>, feed: Arc<dyn Feed>, metrics: Arc<Metrics>) -> Self {
        Self {
            bus,
            feed,
            rooms: Mutex::default(),
            work: Notify::new(),
            metrics,
        }
    }

    /// Whether events arrive just now, as far as anyone can know.
    pub(crate) fn is_live(&self) -> bool {
        self.bus.is_live() && self.feed.is_live()
    }

    /// Gives a socket a seat among its user's. When this returns, whatever comes after the position goes into the socket's queue.
    /// It waits for the bus as long as it takes; dropping it gives the seat back.
    pub(crate) async fn join(self: &Arc<Self>, user: &UserId, subscriber: Subscriber) -> Option<(Seat, Position)> {
        let (id, start) = self.rooms().take_seat(user, subscriber);
        let seat = Seat {
            hub: Arc::clone(self),
            user: user.clone(),
            id,
        };
        self.work.notify_one();
        let position = match start {
            Start::At(position) => position,
            Start::Later(position) => position.await.ok()?,
        };
        Some((seat, position))
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut rooms = self.hub.rooms();
        if rooms.leave(&self.user, self.id) {
            // Under the lock: whoever comes next subscribes after this, never before.
            self.hub.feed.unsubscribe(&self.user);
        }
    }
}
