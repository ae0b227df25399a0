//! Whatever comes in whatever order: a socket that reads the log and then hears its room gets every event once and in order.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// An event is published and announced.
    Publish,
    /// An event is published, and nobody hears of it.
    Mute,
    /// The room hears the next announcement.
    Hear,
    /// The room learns where the order stands.
    Check,
    /// The room asks the log.
    Ask,
    /// The log's answer reaches the room.
    Answer,
    /// The socket makes a step: it sends what it has read, goes live, or reads so many events.
    Step(usize),
}

/// A room with a socket that was there from the beginning and one that comes back.
struct World {
    rooms: Rooms,
    published: u64,
    announced: VecDeque<u64>,
    answers: VecDeque<(UserId, RoomId, LogRead)>,
    neighbour: Socket,
    back: Socket,
    cursor: u64,
    page: VecDeque<u64>,
    is_live: bool,
}

impl World {
    /// The one that comes back has heard everything up to `cursor`.
    fn new(published: u64, cursor: u64) -> Self {
        let (mut rooms, [neighbour]) = open([("c1", "s", Dialect::NativeJson)]);
        for seq in 1..=published {
            rooms.heard(&user(), at(seq), event(seq, Audience::User), &metrics());
        }
        let (back, _, _) = Socket::join(&mut rooms, "c2", "s", Dialect::NativeJson);
        Self {
            rooms,
            published,
            announced: VecDeque::new(),
            answers: VecDeque::new(),
            neighbour,
            back,
            cursor,
            page: VecDeque::new(),
            is_live: false,
        }
    }

    fn live_through(&mut self, moment: Moment) {
        match moment {
            Moment::Publish => {
                self.published += 1;
                self.announced.push_back(self.published);
            }
            Moment::Mute => self.published += 1,
            Moment::Hear => {
                if let Some(seq) = self.announced.pop_front() {
                    self.rooms
                        .heard(&user(), at(seq), event(seq, Audience::User), &metrics());
                }
            }
            Moment::Check => self.rooms.checked(&user(), at(self.published), &metrics()),
            Moment::Ask => {
                if let Some(Work::Read(user, room, after)) = self.rooms.next_work() {
                    let past = self
                        .log(after.seq, usize::MAX)
                        .map(|seq| (at(seq), Envelope::clone(&event(seq, Audience::User))));
                    self.answers.push_back((user, room, LogRead::Events(past.collect())));
                }
            }
            Moment::Answer => {
                if let Some((user, room, past)) = self.answers.pop_front() {
                    self.rooms.read(&user, room, past, &metrics());
                }
            }
            Moment::Step(page) => self.step(page),
        }
    }

    fn step(&mut self, page: usize) {
        if self.is_live {
            return;
        }
        if self.page.is_empty() {
            match self.rooms.go_live(&user(), self.back.seat, &at(self.cursor)) {
                Progress::Live => self.is_live = true,
                Progress::Behind => self.page = self.log(self.cursor, page).collect(),
                Progress::Apart => panic!("there is one epoch"),
            }
            return;
        }
        let place = self.rooms.place(&user(), self.back.seat).unwrap();
        for seq in self.page.drain(..) {
            let envelope = event(seq, Audience::User);
            place.replay(&envelope, &mut Encoded::new(&at(seq), &envelope));
            self.cursor = seq;
        }
    }

    /// What the log has after `after`.
    fn log(&self, after: u64, limit: usize) -> impl Iterator<Item = u64> + use<> {
        (after + 1..=self.published).take(limit)
    }

    /// All that is still on its way arrives.
    fn settle(&mut self) {
        while !self.announced.is_empty() {
            self.live_through(Moment::Hear);
        }
        self.live_through(Moment::Check);
        for _ in 0..4 {
            self.live_through(Moment::Ask);
            self.live_through(Moment::Answer);
        }
        while !self.is_live {
            self.live_through(Moment::Step(3));
        }
    }
}

/// The numbers of the events that a socket was sent.
fn numbers(socket: &Socket) -> Vec<u64> {
    let number = |message: &Message| {
        let Message::Text(text) = message else {
            panic!("{message:?}")
        };
        let frame: serde_json::Value = serde_json::from_slice(text).unwrap();
        frame["data"].as_u64().unwrap()
    };
    socket.queued().iter().map(number).collect()
}

fn moment() -> impl Strategy<Value = Moment> {
    prop_oneof![
        3 => Just(Moment::Publish),
        1 => Just(Moment::Mute),
        3 => Just(Moment::Hear),
        1 => Just(Moment::Check),
        2 => Just(Moment::Ask),
        2 => Just(Moment::Answer),
        3 => (1usize..5).prop_map(Moment::Step),
    ]
}

proptest! {
    #[test]
    fn every_event_comes_once_and_in_order(
        (published, cursor) in (0u64..6).prop_flat_map(|published| (Just(published), 0..=published)),
        moments in prop::collection::vec(moment(), 0..60),
    ) {
        let mut world = World::new(published, cursor);
        for moment in moments {
            world.live_through(moment);
        }
        world.settle();
        prop_assert_eq!(numbers(&world.neighbour), (1..=world.published).collect::<Vec<_>>());
        prop_assert_eq!(numbers(&world.back), (cursor + 1..=world.published).collect::<Vec<_>>());
    }
}
