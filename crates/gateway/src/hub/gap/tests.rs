//! What a user's order promises, however badly it is heard.

use proptest::prelude::*;
use protocol::cluster::envelope::Audience;
use protocol::cluster::offset::Epoch;
use protocol::event::DeliveryClass;
use protocol::id::EventId;
use protocol::json::Json;

use super::*;

fn at(epoch: &str, seq: u64) -> Offset {
    Offset {
        epoch: Epoch::new(epoch).unwrap(),
        seq,
    }
}

/// The event of a place, named after it.
fn event(offset: &Offset) -> Arc<Envelope> {
    Arc::new(Envelope {
        v: Envelope::VERSION,
        id: EventId::new(offset.to_string()).unwrap(),
        audience: Audience::User,
        class: DeliveryClass::State,
        event: "account:status_changed".to_owned(),
        data: Json::of(&()),
    })
}

fn deliver(epoch: &str, seq: u64) -> Output {
    let offset = at(epoch, seq);
    Output::Deliver(offset.clone(), event(&offset))
}

fn hear(gap: &mut Gap, epoch: &str, seq: u64) -> Vec<Output> {
    let offset = at(epoch, seq);
    gap.heard(offset.clone(), event(&offset))
}

fn log(epoch: &str, seqs: std::ops::RangeInclusive<u64>) -> LogRead {
    let events = seqs
        .map(|seq| at(epoch, seq))
        .map(|offset| (offset.clone(), Envelope::clone(&event(&offset))));
    LogRead::Events(events.collect())
}

/// A user whose order was at seq 3 when its first socket came.
fn live() -> Gap {
    let mut gap = Gap::default();
    assert_eq!(gap.positioned(at("a", 3)), []);
    gap
}

#[test]
fn what_follows_is_delivered_and_what_was_is_not_delivered_again() {
    let mut gap = live();
    assert_eq!(hear(&mut gap, "a", 3), []);
    assert_eq!(hear(&mut gap, "a", 4), [deliver("a", 4)]);
    assert_eq!(hear(&mut gap, "a", 4), []);
    assert_eq!(hear(&mut gap, "a", 5), [deliver("a", 5)]);
}

#[test]
fn a_hole_is_filled_from_the_log_before_anything_else_is_delivered() {
    let mut gap = live();
    assert_eq!(hear(&mut gap, "a", 6), [Output::Read(at("a", 3))]);
    assert_eq!(hear(&mut gap, "a", 7), []);
    assert_eq!(hear(&mut gap, "a", 8), []);
    let outputs = gap.read(log("a", 4..=7));
    let expected = [4, 5, 6, 7].map(|seq| deliver("a", seq));
    assert_eq!(
        outputs,
        expected
            .into_iter()
            .chain([Output::Read(at("a", 7))])
            .collect::<Vec<_>>()
    );
    assert_eq!(gap.read(log("a", 8..=8)), [deliver("a", 8)]);
    assert_eq!(hear(&mut gap, "a", 9), [deliver("a", 9)]);
}

#[test]
fn an_event_heard_before_the_position_is_known_is_not_lost() {
    let mut gap = Gap::default();
    assert_eq!(hear(&mut gap, "a", 4), []);
    assert_eq!(gap.positioned(at("a", 3)), [Output::Read(at("a", 3))]);
    assert_eq!(gap.read(log("a", 4..=4)), [deliver("a", 4)]);

    let mut late = Gap::default();
    assert_eq!(hear(&mut late, "a", 4), []);
    assert_eq!(late.positioned(at("a", 4)), [], "it was before the first socket came");
}

#[test]
fn a_position_that_is_learned_while_the_log_is_read_is_not_forgotten() {
    let mut gap = live();
    assert_eq!(hear(&mut gap, "a", 5), [Output::Read(at("a", 3))]);
    assert_eq!(gap.positioned(at("a", 6)), []);
    assert_eq!(gap.positioned(at("a", 4)), [], "an answer that was overtaken");
    let expected = [deliver("a", 4), deliver("a", 5), Output::Read(at("a", 5))];
    assert_eq!(gap.read(log("a", 4..=5)), expected);
}

#[test]
fn a_lost_log_is_reported_not_hidden() {
    let mut gap = live();
    assert_eq!(hear(&mut gap, "a", 900), [Output::Read(at("a", 3))]);
    assert_eq!(gap.read(LogRead::Gap(at("a", 901))), [Output::Gap(at("a", 901))]);
    assert_eq!(hear(&mut gap, "a", 902), [deliver("a", 902)]);
}

#[test]
fn an_order_that_begins_anew_is_a_loss() {
    let mut gap = live();
    assert_eq!(hear(&mut gap, "b", 1), [Output::Read(at("a", 3))]);
    assert_eq!(gap.read(LogRead::Gap(at("b", 1))), [Output::Gap(at("b", 1))]);
    assert_eq!(hear(&mut gap, "b", 2), [deliver("b", 2)]);
}

#[test]
fn a_late_event_of_an_epoch_that_is_over_is_no_loss() {
    let mut gap = live();
    assert_eq!(hear(&mut gap, "0", 99), [Output::Read(at("a", 3))]);
    assert_eq!(gap.read(LogRead::Events(Vec::new())), []);
    assert_eq!(hear(&mut gap, "a", 4), [deliver("a", 4)]);
}

#[test]
fn a_position_check_finds_what_was_never_heard() {
    let mut gap = live();
    assert_eq!(gap.positioned(at("a", 3)), []);
    assert_eq!(gap.positioned(at("a", 2)), [], "an answer that was overtaken");
    assert_eq!(gap.positioned(at("a", 5)), [Output::Read(at("a", 3))]);
    assert_eq!(gap.read(log("a", 4..=5)), [deliver("a", 4), deliver("a", 5)]);
}

#[test]
fn a_long_log_is_read_page_by_page() {
    let mut gap = live();
    let last = u64::try_from(PAGE).unwrap() + 3;
    assert_eq!(hear(&mut gap, "a", last + 10), [Output::Read(at("a", 3))]);
    let outputs = gap.read(log("a", 4..=last));
    assert_eq!(outputs.len(), PAGE + 1);
    assert_eq!(outputs.last(), Some(&Output::Read(at("a", last))));
}

/// An order at the server, and what may happen between it and the gateway.
#[derive(Debug, Clone)]
enum Step {
    /// An event is published and heard.
    Heard,
    /// An event is published, and the announcement is lost.
    Unheard,
    /// An old announcement comes again.
    Again(u64),
    /// The read that is under way answers.
    Answer,
    /// The node compares positions.
    Check,
    /// The server loses everything.
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Heard),
        2 => Just(Step::Unheard),
        1 => (1u64..20).prop_map(Step::Again),
        4 => Just(Step::Answer),
        1 => Just(Step::Check),
        1 => Just(Step::Flush),
    ]
}

/// The server's side: which epoch it is in, and how many events that has.
struct Server {
    epoch: u64,
    seq: u64,
}

impl Server {
    fn offset(&self) -> Offset {
        at(&format!("{:x}", self.epoch), self.seq)
    }

    fn since(&self, after: &Offset) -> LogRead {
        let now = self.offset();
        if after.epoch != now.epoch || after.seq > now.seq {
            return LogRead::Gap(now);
        }
        let last = now.seq.min(after.seq + u64::try_from(PAGE).unwrap());
        log(now.epoch.as_str(), after.seq + 1..=last)
    }
}

proptest! {
    #[test]
    fn every_event_is_delivered_once_and_in_order_or_its_loss_is_told(steps in prop::collection::vec(step(), 1..120)) {
        let mut server = Server { epoch: 0, seq: 0 };
        let mut gap = Gap::default();
        gap.positioned(server.offset());
        let mut seen = server.offset();
        let mut read = None;
        let mut obey = |outputs: Vec<Output>, read: &mut Option<Offset>, server: &Server| {
            for output in outputs {
                match output {
                    Output::Deliver(offset, envelope) => {
                        assert_eq!(envelope.id.as_str(), offset.to_string());
                        assert_eq!(offset, at(seen.epoch.as_str(), seen.seq + 1), "in order, without a hole");
                        seen = offset;
                    }
                    Output::Gap(_) => {
                        assert_ne!(server.offset().epoch, seen.epoch, "nothing was lost");
                        seen = server.offset();
                    }
                    Output::Read(after) => {
                        assert_eq!(after, seen.clone());
                        assert!(read.replace(after).is_none(), "one read at a time");
                    }
                }
            }
        };
        for step in steps {
            let outputs = match step {
                Step::Heard => {
                    server.seq += 1;
                    gap.heard(server.offset(), event(&server.offset()))
                }
                Step::Unheard => {
                    server.seq += 1;
                    Vec::new()
                }
                Step::Again(back) => {
                    let offset = at(&format!("{:x}", server.epoch), server.seq.saturating_sub(back).max(1));
                    if offset.seq > server.seq { continue }
                    gap.heard(offset.clone(), event(&offset))
                }
                Step::Answer => match read.take() {
                    Some(after) => gap.read(server.since(&after)),
                    None => Vec::new(),
                },
                Step::Check => gap.positioned(server.offset()),
                Step::Flush => {
                    server = Server { epoch: server.epoch + 1, seq: 0 };
                    Vec::new()
                }
            };
            obey(outputs, &mut read, &server);
        }
        // In the end everything has arrived: the reads under way answer, and a last check finds the rest.
        for _ in 0..4 {
            if let Some(after) = read.take() {
                let outputs = gap.read(server.since(&after));
                obey(outputs, &mut read, &server);
            }
            let outputs = gap.positioned(server.offset());
            obey(outputs, &mut read, &server);
        }
        prop_assert_eq!(gap.cursor(), Some(&server.offset()));
    }
}
