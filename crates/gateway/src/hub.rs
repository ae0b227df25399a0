//! From the bus to the sockets: a room per user with a socket here, which listens for the user as long as there is one.

mod encoded;
mod gap;
mod listen;
mod place;
mod seats;
#[cfg(test)]
mod tests;
mod tickets;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus::{Bus, BusError, LogRead, ResumeLease, SessionState, UserSubscriptions};
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::Offset;
use protocol::id::UserId;
use tokio::sync::Notify;

use self::encoded::Encoded;
use self::place::Place;
use self::seats::{Rooms, SeatId, Start};
use crate::metrics::Metrics;

pub(crate) use self::seats::{Progress, Subscriber};

/// All rooms of this gateway. [`Hub::run`] is the one task that hears and delivers; sockets come and go beside it.
pub(crate) struct Hub {
    bus: Arc<dyn Bus>,
    feed: Arc<dyn UserSubscriptions>,
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
    pub(crate) fn new(bus: Arc<dyn Bus>, feed: Arc<dyn UserSubscriptions>, metrics: Arc<Metrics>) -> Self {
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

    /// Gives a socket a seat among its user's. When this returns, the bus is heard for the user, and the user's order is known up
    /// to the position. The socket hears nothing before [`Seat::go_live`]. It waits for the bus as long as it takes; dropping it
    /// gives the seat back.
    pub(crate) async fn join(self: &Arc<Self>, user: &UserId, subscriber: Subscriber) -> Option<(Seat, Offset)> {
        let (id, start) = self.rooms().take_seat(user, subscriber);
        let seat = Seat {
            hub: Arc::clone(self),
            user: user.clone(),
            id,
        };
        self.work.notify_one();
        let offset = match start {
            Start::At(offset) => offset,
            Start::Later(offset) => offset.await.ok()?,
        };
        Some((seat, offset))
    }

    /// What a user's log has after this position, at most so many events. A log that has lost some may have lost the end of a session:
    /// so nothing of it is told, nor of what comes after, before the bus has said that the sessions of the user's sockets go on. None:
    /// it cannot say that yet, and is to be asked again.
    ///
    /// # Errors
    /// [`BusError::Away`].
    async fn past(&self, user: &UserId, after: &Offset, limit: usize) -> Result<Option<LogRead>, BusError> {
        let past = self.bus.read_log(user, after, limit).await?;
        if matches!(past, LogRead::Gap(_)) && !self.confirm_sessions(user).await? {
            return Ok(None);
        }
        Ok(Some(past))
    }

    /// Ends the user's sockets whose session has ended. True when all others' go on.
    async fn confirm_sessions(&self, user: &UserId) -> Result<bool, BusError> {
        let keys = self.rooms().sessions(user);
        let states = self.bus.check_ttl(&keys).await?;
        let rooms = self.rooms();
        let mut is_known = true;
        for (key, state) in keys.iter().zip(states) {
            match state {
                SessionState::Alive(_) => {}
                SessionState::Ended => rooms.end_session(key),
                SessionState::Unknown | SessionState::Ending(_) => {
                    rooms.ask_about_session(key);
                    is_known = false;
                }
            }
        }
        Ok(is_known)
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The socket holds this ticket: it ends when another redeems it.
    pub(crate) fn hold(&self, hold: ResumeLease) {
        let mut rooms = self.hub.rooms();
        rooms
            .place(&self.user, self.id)
            .into_iter()
            .for_each(|place| place.hold(hold.clone()));
    }

    /// What the user's log has after this position, at most so many events. None: it is to be asked again.
    ///
    /// # Errors
    /// [`BusError::Away`].
    pub(crate) async fn read(&self, after: &Offset, limit: usize) -> Result<Option<LogRead>, BusError> {
        self.hub.past(&self.user, after, limit).await
    }

    /// Queues an event that the socket has read in the log.
    pub(crate) fn replay(&self, offset: &Offset, envelope: &Envelope) {
        let mut encoded = Encoded::new(offset, envelope);
        let mut rooms = self.hub.rooms();
        let place = rooms.place(&self.user, self.id);
        let queued = place.is_some_and(|place| place.replay(envelope, &mut encoded));
        self.hub.metrics.delivered(&envelope.event, usize::from(queued));
    }

    /// The socket has read all up to this position. From here on it hears what comes, unless there is more to read. Between the
    /// last that it has read and the first that it hears nothing is missing and nothing is twice.
    pub(crate) fn go_live(&self, cursor: &Offset) -> Progress {
        let progress = self.hub.rooms().go_live(&self.user, self.id, cursor);
        if progress == Progress::Apart {
            self.hub.work.notify_one();
        }
        progress
    }

    /// The log does not say what the socket has missed.
    pub(crate) fn lose(&self) {
        let mut rooms = self.hub.rooms();
        rooms.place(&self.user, self.id).into_iter().for_each(Place::lose);
        self.hub.metrics.resync(1);
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
