//! Any sequence of announcements, reads and steps: a socket that replays the log and then goes live receives every event once and in
//! order.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// Step of a sequence.
#[derive(Debug, Clone, Copy)]
enum SequenceStep {
    /// An event is published and announced.
    Publish,
    /// An event is published, and its announcement is lost.
    PublishSilently,
    /// The channel receives the next announcement.
    Receive,
    /// The channel learns the offset of the log.
    Compare,
    /// The channel starts a read of the log.
    StartRead,
    /// The read of the channel completes.
    FinishRead,
    /// The socket queues what it has read, goes live, or reads this many events.
    Replay(usize),
}

/// Channel with a socket that was live from the start and one that resumes.
struct World {
    channels: UserChannels,
    metrics: Metrics,
    published: u64,
    announced: VecDeque<u64>,
    reads: VecDeque<(UserId, ChannelId, LogRead)>,
    live: TestSocket,
    resumed: TestSocket,
    cursor: u64,
    page: VecDeque<u64>,
    is_live: bool,
}

impl World {
    /// The socket that resumes has handled all events up to `cursor`.
    fn new(published: u64, cursor: u64) -> Self {
        let (mut channels, [live]) = open([("c1", "s", Dialect::NativeJson)]);
        let metrics = metrics();
        for seq in 1..=published {
            channels.received(&user(), at(seq), event(seq, Audience::User), &metrics);
        }
        let (resumed, _, _) = TestSocket::join(&mut channels, "c2", "s", Dialect::NativeJson);
        Self {
            channels,
            metrics,
            published,
            announced: VecDeque::new(),
            reads: VecDeque::new(),
            live,
            resumed,
            cursor,
            page: VecDeque::new(),
            is_live: false,
        }
    }

    fn apply(&mut self, step: SequenceStep) {
        match step {
            SequenceStep::Publish => {
                self.published += 1;
                self.announced.push_back(self.published);
            }
            SequenceStep::PublishSilently => self.published += 1,
            SequenceStep::Receive => {
                if let Some(seq) = self.announced.pop_front() {
                    self.channels
                        .received(&user(), at(seq), event(seq, Audience::User), &self.metrics);
                }
            }
            SequenceStep::Compare => self.channels.compared(&user(), at(self.published), &self.metrics),
            SequenceStep::StartRead => {
                if let Some(HubQuery::Read(user, channel, after)) = self.channels.next_query() {
                    let past = self
                        .log(after.seq, usize::MAX)
                        .map(|seq| (at(seq), Envelope::clone(&event(seq, Audience::User))));
                    self.reads.push_back((user, channel, LogRead::Events(past.collect())));
                }
            }
            SequenceStep::FinishRead => {
                if let Some((user, channel, past)) = self.reads.pop_front() {
                    self.channels.read(&user, channel, past, &self.metrics);
                }
            }
            SequenceStep::Replay(page) => self.replay(page),
        }
    }

    fn replay(&mut self, page: usize) {
        if self.is_live {
            return;
        }
        if self.page.is_empty() {
            match self.channels.go_live(&user(), self.resumed.id, &at(self.cursor)) {
                ReplayProgress::CaughtUp => self.is_live = true,
                ReplayProgress::Behind => self.page = self.log(self.cursor, page).collect(),
                ReplayProgress::OtherEpoch => panic!("there is one epoch"),
            }
            return;
        }
        let subscriber = self.channels.subscriber(&user(), self.resumed.id).unwrap();
        for seq in self.page.drain(..) {
            let envelope = event(seq, Audience::User);
            subscriber.replay(&envelope, &mut EncodedEvent::new(&at(seq), &envelope));
            self.cursor = seq;
        }
    }

    /// Events of the log after `after`.
    fn log(&self, after: u64, limit: usize) -> impl Iterator<Item = u64> + use<> {
        (after + 1..=self.published).take(limit)
    }

    /// Completes all pending steps.
    fn settle(&mut self) {
        while !self.announced.is_empty() {
            self.apply(SequenceStep::Receive);
        }
        self.apply(SequenceStep::Compare);
        for _ in 0..4 {
            self.apply(SequenceStep::StartRead);
            self.apply(SequenceStep::FinishRead);
        }
        while !self.is_live {
            self.apply(SequenceStep::Replay(3));
        }
    }
}

/// Numbers of the events that a socket was sent.
fn numbers(socket: &TestSocket) -> Vec<u64> {
    let number = |message: &Message| {
        let Message::Text(text) = message else {
            panic!("{message:?}")
        };
        let frame: serde_json::Value = serde_json::from_slice(text).unwrap();
        frame["data"].as_u64().unwrap()
    };
    socket.queued().iter().map(number).collect()
}

fn step() -> impl Strategy<Value = SequenceStep> {
    prop_oneof![
        3 => Just(SequenceStep::Publish),
        1 => Just(SequenceStep::PublishSilently),
        3 => Just(SequenceStep::Receive),
        1 => Just(SequenceStep::Compare),
        2 => Just(SequenceStep::StartRead),
        2 => Just(SequenceStep::FinishRead),
        3 => (1usize..5).prop_map(SequenceStep::Replay),
    ]
}

proptest! {
    #[test]
    fn every_event_is_delivered_once_and_in_sequence(
        (published, cursor) in (0u64..6).prop_flat_map(|published| (Just(published), 0..=published)),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut world = World::new(published, cursor);
        for step in steps {
            world.apply(step);
        }
        world.settle();
        prop_assert_eq!(numbers(&world.live), (1..=world.published).collect::<Vec<_>>());
        prop_assert_eq!(numbers(&world.resumed), (cursor + 1..=world.published).collect::<Vec<_>>());
    }
}
