//! Who of this gateway's sockets is which user's, and what is to be done for them.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bus::{LogRead, SessionKey};
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::Offset;
use protocol::event::name;
use protocol::id::{ConnectionId, SessionId, UserId};
use tokio::sync::{mpsc, oneshot};

use super::encoded::Encoded;
use super::gap::{Gap, Output};
use super::place::Place;
use crate::connection::outbound::Outbound;
use crate::connection::{Dismissal, Ending};
use crate::form::Form;
use crate::metrics::Metrics;

/// A socket that gets its user's events.
#[derive(Debug)]
pub(crate) struct Subscriber {
    /// Which socket.
    pub(crate) connection: ConnectionId,
    /// Of which session.
    pub(crate) session: SessionId,
    /// How it is spoken to.
    pub(crate) form: Form,
    /// What waits to be sent on it.
    pub(crate) outbound: Arc<Outbound>,
    /// How it is ended.
    pub(crate) dismissal: Arc<Dismissal>,
    /// Who is told that the end of its session may have moved. A word that finds no room is not said: the session is asked about
    /// when it would have been.
    pub(crate) moved: mpsc::Sender<SessionKey>,
}

/// A place in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeatId(u64);

/// One life of a room. A user who leaves and comes back has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RoomId(u64);

/// One comparison of all positions; a newer one makes it needless.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Round(u64);

/// What the hub has to ask of the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// Listen for a user, and ask where the order is.
    Open(UserId, RoomId),
    /// Read a user's log.
    Read(UserId, RoomId, Offset),
    /// Ask where the orders of these users are, in the round that was begun last.
    Check(Vec<UserId>, Round),
}

/// Where a newcomer's events begin.
#[derive(Debug)]
pub(super) enum Start {
    /// After this position.
    At(Offset),
    /// After the position that will be told.
    Later(oneshot::Receiver<Offset>),
}

/// How far a socket that reads the log has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// As far as its room: it hears from now on.
    Live,
    /// There is more to be read.
    Behind,
    /// It follows another epoch than its room.
    Apart,
}

/// All rooms: one for each user with a socket here.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    by_user: HashMap<UserId, Room>,
    work: VecDeque<Work>,
    named: u64,
    round: Round,
    /// The batches of the round that are still to be compared, and whether one is under way: one by one, as all of them at once
    /// would cost memory that is never given back.
    checks: VecDeque<Vec<UserId>>,
    checking: bool,
}

#[derive(Debug)]
struct Room {
    id: RoomId,
    seats: Vec<(SeatId, Place)>,
    gap: Gap,
    waiting: Vec<oneshot::Sender<Offset>>,
}

impl Rooms {
    /// Gives a socket a seat; the first of a user has the room opened.
    pub(super) fn take_seat(&mut self, user: &UserId, subscriber: Subscriber) -> (SeatId, Start) {
        self.named += 1;
        let (seat, new_room) = (SeatId(self.named), RoomId(self.named));
        let work = &mut self.work;
        let room = self.by_user.entry(user.clone()).or_insert_with(|| {
            work.push_back(Work::Open(user.clone(), new_room));
            Room {
                id: new_room,
                seats: Vec::with_capacity(1),
                gap: Gap::default(),
                waiting: Vec::new(),
            }
        });
        room.seats.push((seat, Place::new(subscriber)));
        let start = match room.gap.cursor() {
            Some(cursor) => Start::At(cursor.clone()),
            None => {
                let (tell, told) = oneshot::channel();
                room.waiting.push(tell);
                Start::Later(told)
            }
        };
        (seat, start)
    }

    /// Frees a seat. True when it was the user's last: nobody is to be listened for any more.
    pub(super) fn leave(&mut self, user: &UserId, seat: SeatId) -> bool {
        let Some(room) = self.by_user.get_mut(user) else {
            return false;
        };
        room.seats.retain(|(id, _)| *id != seat);
        let is_empty = room.seats.is_empty();
        if is_empty {
            self.by_user.remove(user);
        }
        is_empty
    }

    /// Whether a user has a socket here.
    pub(super) fn has(&self, user: &UserId) -> bool {
        self.by_user.contains_key(user)
    }

    /// The next thing to ask of the bus.
    pub(super) fn next_work(&mut self) -> Option<Work> {
        while let Some(work) = self.work.pop_front() {
            if self.is_wanted(&work) {
                return Some(work);
            }
        }
        if self.checking {
            return None;
        }
        let users = self.checks.pop_front()?;
        self.checking = true;
        Some(Work::Check(users, self.round))
    }

    /// Asks for something again, unless nobody wants it any more.
    pub(super) fn again(&mut self, work: Work) {
        if self.is_wanted(&work) {
            match work {
                Work::Check(users, _) => self.checks.push_back(users),
                work => self.work.push_back(work),
            }
        }
    }

    /// Has the positions of all open rooms compared, in batches.
    pub(super) fn check_all(&mut self) {
        self.round = Round(self.round.0 + 1);
        let open = self.by_user.iter().filter(|(_, room)| room.gap.cursor().is_some());
        let users: Vec<UserId> = open.map(|(user, _)| user.clone()).collect();
        self.checks = users.chunks(CHECK_BATCH).map(<[_]>::to_vec).collect();
        // An older round that is stuck holds nobody up.
        self.checking = false;
    }

    /// A batch of a round was compared, or could not be.
    pub(super) fn check_done(&mut self, round: Round) {
        if round == self.round {
            self.checking = false;
        }
    }

    /// An event of a user was heard.
    pub(super) fn heard(&mut self, user: &UserId, offset: Offset, envelope: Arc<Envelope>, metrics: &Metrics) {
        if let Some(room) = self.by_user.get_mut(user) {
            let outputs = room.gap.heard(offset, envelope);
            self.work.extend(room.obey(user, outputs, metrics));
        }
    }

    /// A room's channel is open, and its order stands here.
    pub(super) fn opened(&mut self, user: &UserId, id: RoomId, offset: Offset, metrics: &Metrics) {
        if let Some(room) = self.by_user.get_mut(user).filter(|room| room.id == id) {
            let outputs = room.gap.positioned(offset);
            if let Some(cursor) = room.gap.cursor() {
                for waiting in room.waiting.drain(..) {
                    // A socket that has gone meanwhile does not listen.
                    drop(waiting.send(cursor.clone()));
                }
            }
            self.work.extend(room.obey(user, outputs, metrics));
        }
    }

    /// A user's order stands here; the room may have missed something.
    pub(super) fn checked(&mut self, user: &UserId, offset: Offset, metrics: &Metrics) {
        let open = self.by_user.get_mut(user).filter(|room| room.gap.cursor().is_some());
        if let Some(room) = open {
            let outputs = room.gap.positioned(offset);
            self.work.extend(room.obey(user, outputs, metrics));
        }
    }

    /// A user's log was read.
    pub(super) fn read(&mut self, user: &UserId, id: RoomId, past: LogRead, metrics: &Metrics) {
        if let Some(room) = self.by_user.get_mut(user).filter(|room| room.id == id) {
            let outputs = room.gap.read(past);
            self.work.extend(room.obey(user, outputs, metrics));
        }
    }

    /// A socket has read the log up to here, and asks to hear what comes after.
    pub(super) fn go_live(&mut self, user: &UserId, seat: SeatId, cursor: &Offset) -> Progress {
        let Some(room) = self.by_user.get_mut(user) else {
            return Progress::Behind;
        };
        let progress = match room.gap.cursor() {
            Some(here) if here.epoch != cursor.epoch => Progress::Apart,
            Some(here) if here.seq <= cursor.seq => Progress::Live,
            Some(_) | None => Progress::Behind,
        };
        match progress {
            Progress::Live => room
                .place(seat)
                .into_iter()
                .for_each(|place| place.go_live(cursor.clone())),
            // One of the two has not noticed yet that the order began anew. If it is the room, it does now.
            Progress::Apart => self.work.push_back(Work::Check(vec![user.clone()], self.round)),
            Progress::Behind => {}
        }
        progress
    }

    /// The sessions of a user's sockets, but those that were found to be over.
    pub(super) fn sessions(&self, user: &UserId) -> Vec<SessionKey> {
        let sessions: BTreeSet<_> = self.places(user).filter_map(|place| place.session(user)).collect();
        sessions.into_iter().collect()
    }

    /// A session has ended: its sockets here are to end, and get no more events.
    pub(super) fn end_session(&self, key: &SessionKey) {
        let ended = self
            .places(&key.user)
            .filter(|place| place.session(&key.user).as_ref() == Some(key));
        ended.for_each(|place| place.end(Ending::SessionEnded));
    }

    /// Has it asked where a session stands.
    pub(super) fn ask_about_session(&self, key: &SessionKey) {
        let mut theirs = self
            .places(&key.user)
            .filter(|place| place.session(&key.user).as_ref() == Some(key));
        theirs
            .next()
            .into_iter()
            .for_each(|place| place.session_moved(&key.user));
    }

    /// A socket's own place.
    pub(super) fn place(&mut self, user: &UserId, seat: SeatId) -> Option<&mut Place> {
        self.by_user.get_mut(user)?.place(seat)
    }

    /// The places of a user's sockets.
    pub(super) fn places(&self, user: &UserId) -> impl Iterator<Item = &Place> {
        let seats = self.by_user.get(user).into_iter().flat_map(|room| &room.seats);
        seats.map(|(_, place)| place)
    }

    /// All places there are.
    pub(super) fn all_places(&self) -> impl Iterator<Item = &Place> {
        let seats = self.by_user.values().flat_map(|room| &room.seats);
        seats.map(|(_, place)| place)
    }

    fn is_wanted(&self, work: &Work) -> bool {
        match work {
            Work::Open(user, id) | Work::Read(user, id, _) => self.by_user.get(user).is_some_and(|room| room.id == *id),
            Work::Check(_, round) => *round == self.round,
        }
    }
}

impl Room {
    /// Does what can be done at once, and says what has to be asked.
    fn obey(&mut self, user: &UserId, outputs: Vec<Output>, metrics: &Metrics) -> Option<Work> {
        let mut work = None;
        for output in outputs {
            match output {
                Output::Deliver(offset, envelope) => self.deliver(user, &offset, &envelope, metrics),
                Output::Gap(now) => self.report_loss(&now, metrics),
                Output::Read(after) => {
                    metrics.gap();
                    work = Some(Work::Read(user.clone(), self.id, after));
                }
            }
        }
        work
    }

    fn deliver(&self, user: &UserId, offset: &Offset, envelope: &Envelope, metrics: &Metrics) {
        if envelope.event == name::SETTINGS_UPDATED {
            // Perhaps the timeout.
            self.seats.iter().for_each(|(_, place)| place.session_moved(user));
        }
        let mut encoded = Encoded::new(offset, envelope);
        let hear = |(_, place): &&(SeatId, Place)| place.hear(offset, envelope, &mut encoded);
        let sockets = self.seats.iter().filter(hear).count();
        metrics.delivered(&envelope.event, sockets);
    }

    fn report_loss(&mut self, now: &Offset, metrics: &Metrics) {
        let told = self
            .seats
            .iter_mut()
            .filter_map(|(_, place)| place.miss(now).then_some(()));
        metrics.resync(told.count());
    }

    fn place(&mut self, seat: SeatId) -> Option<&mut Place> {
        let mut seats = self.seats.iter_mut();
        seats.find_map(|(id, place)| (*id == seat).then_some(place))
    }
}

/// How many users are asked about at once.
const CHECK_BATCH: usize = 500;
