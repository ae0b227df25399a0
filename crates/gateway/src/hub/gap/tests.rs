//! Delivery in order and without gaps, for any loss of announcements.

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

/// Event at this offset, which is also its id.
fn event(offset: &Offset) -> Arc<Envelope> {
    Arc::new(Envelope {
        v: Envelope::VERSION,
        id: EventId::new(offset.to_string()).unwrap(),
        audience: Audience::User,
        class: DeliveryClass::State,
        event: "account:status_changed".to_owned(),
        data: Json::of(&()),
        traceparent: None,
        published_at: None,
    })
}

fn deliver(epoch: &str, seq: u64) -> GapOutput {
    let offset = at(epoch, seq);
    GapOutput::Deliver(offset.clone(), event(&offset))
}

fn receive(gap: &mut GapDetector, epoch: &str, seq: u64) -> Vec<GapOutput> {
    let offset = at(epoch, seq);
    gap.received(offset.clone(), event(&offset))
}

fn log(epoch: &str, seqs: std::ops::RangeInclusive<u64>) -> LogRead {
    let events = seqs
        .map(|seq| at(epoch, seq))
        .map(|offset| (offset.clone(), Envelope::clone(&event(&offset))));
    LogRead::Events(events.collect())
}

/// Detector of a user whose log was at seq 3 when the first socket subscribed.
fn live() -> GapDetector {
    let mut gap = GapDetector::default();
    assert_eq!(gap.positioned(at("a", 3)), []);
    gap
}

#[test]
fn next_event_is_delivered_and_earlier_ones_are_not_repeated() {
    let mut gap = live();
    assert_eq!(receive(&mut gap, "a", 3), []);
    assert_eq!(receive(&mut gap, "a", 4), [deliver("a", 4)]);
    assert_eq!(receive(&mut gap, "a", 4), []);
    assert_eq!(receive(&mut gap, "a", 5), [deliver("a", 5)]);
}

#[test]
fn gap_is_filled_from_the_log_before_later_events_are_delivered() {
    let mut gap = live();
    assert_eq!(receive(&mut gap, "a", 6), [GapOutput::Read(at("a", 3))]);
    assert_eq!(receive(&mut gap, "a", 7), []);
    assert_eq!(receive(&mut gap, "a", 8), []);
    let outputs = gap.read(log("a", 4..=7));
    let expected = [4, 5, 6, 7].map(|seq| deliver("a", seq));
    assert_eq!(
        outputs,
        expected
            .into_iter()
            .chain([GapOutput::Read(at("a", 7))])
            .collect::<Vec<_>>()
    );
    assert_eq!(gap.read(log("a", 8..=8)), [deliver("a", 8)]);
    assert_eq!(receive(&mut gap, "a", 9), [deliver("a", 9)]);
}

#[test]
fn event_received_before_the_offset_is_known_is_not_lost() {
    let mut gap = GapDetector::default();
    assert_eq!(receive(&mut gap, "a", 4), []);
    assert_eq!(gap.positioned(at("a", 3)), [GapOutput::Read(at("a", 3))]);
    assert_eq!(gap.read(log("a", 4..=4)), [deliver("a", 4)]);

    let mut late = GapDetector::default();
    assert_eq!(receive(&mut late, "a", 4), []);
    assert_eq!(late.positioned(at("a", 4)), [], "it precedes the first socket");
}

#[test]
fn offset_received_during_a_read_is_applied_after_it() {
    let mut gap = live();
    assert_eq!(receive(&mut gap, "a", 5), [GapOutput::Read(at("a", 3))]);
    assert_eq!(gap.positioned(at("a", 6)), []);
    assert_eq!(gap.positioned(at("a", 4)), [], "an outdated answer");
    let expected = [deliver("a", 4), deliver("a", 5), GapOutput::Read(at("a", 5))];
    assert_eq!(gap.read(log("a", 4..=5)), expected);
}

#[test]
fn loss_in_the_log_is_reported() {
    let mut gap = live();
    assert_eq!(receive(&mut gap, "a", 900), [GapOutput::Read(at("a", 3))]);
    assert_eq!(gap.read(LogRead::Gap(at("a", 901))), [GapOutput::Gap(at("a", 901))]);
    assert_eq!(receive(&mut gap, "a", 902), [deliver("a", 902)]);
}

#[test]
fn new_epoch_is_a_loss() {
    let mut gap = live();
    assert_eq!(receive(&mut gap, "b", 1), [GapOutput::Read(at("a", 3))]);
    assert_eq!(gap.read(LogRead::Gap(at("b", 1))), [GapOutput::Gap(at("b", 1))]);
    assert_eq!(receive(&mut gap, "b", 2), [deliver("b", 2)]);
}

#[test]
fn late_event_of_an_earlier_epoch_is_no_loss() {
    let mut gap = live();
    assert_eq!(receive(&mut gap, "0", 99), [GapOutput::Read(at("a", 3))]);
    assert_eq!(gap.read(LogRead::Events(Vec::new())), []);
    assert_eq!(receive(&mut gap, "a", 4), [deliver("a", 4)]);
}

#[test]
fn comparison_detects_events_without_announcement() {
    let mut gap = live();
    assert_eq!(gap.positioned(at("a", 3)), []);
    assert_eq!(gap.positioned(at("a", 2)), [], "an outdated answer");
    assert_eq!(gap.positioned(at("a", 5)), [GapOutput::Read(at("a", 3))]);
    assert_eq!(gap.read(log("a", 4..=5)), [deliver("a", 4), deliver("a", 5)]);
}

#[test]
fn long_log_is_read_page_by_page() {
    let mut gap = live();
    let last = u64::try_from(PAGE).unwrap() + 3;
    assert_eq!(receive(&mut gap, "a", last + 10), [GapOutput::Read(at("a", 3))]);
    let outputs = gap.read(log("a", 4..=last));
    assert_eq!(outputs.len(), PAGE + 1);
    assert_eq!(outputs.last(), Some(&GapOutput::Read(at("a", last))));
}

/// Step of a sequence between the server and the gateway.
#[derive(Debug, Clone)]
enum GapStep {
    /// An event is published and received.
    Publish,
    /// An event is published, and its announcement is lost.
    PublishSilently,
    /// An old announcement is repeated.
    Repeat(u64),
    /// The pending read completes.
    FinishRead,
    /// The node compares offsets.
    Compare,
    /// The server loses all data.
    Flush,
}

fn step() -> impl Strategy<Value = GapStep> {
    prop_oneof![
        4 => Just(GapStep::Publish),
        2 => Just(GapStep::PublishSilently),
        1 => (1u64..20).prop_map(GapStep::Repeat),
        4 => Just(GapStep::FinishRead),
        1 => Just(GapStep::Compare),
        1 => Just(GapStep::Flush),
    ]
}

/// Event log of the server.
struct ServerLog {
    epoch: u64,
    seq: u64,
}

impl ServerLog {
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
    fn every_event_is_delivered_once_and_in_sequence_or_its_loss_is_reported(steps in prop::collection::vec(step(), 1..120)) {
        let mut server = ServerLog { epoch: 0, seq: 0 };
        let mut gap = GapDetector::default();
        gap.positioned(server.offset());
        let mut seen = server.offset();
        let mut read = None;
        let mut carry_out = |outputs: Vec<GapOutput>, read: &mut Option<Offset>, server: &ServerLog| {
            for output in outputs {
                match output {
                    GapOutput::Deliver(offset, envelope) => {
                        assert_eq!(envelope.id.as_str(), offset.to_string());
                        assert_eq!(offset, at(seen.epoch.as_str(), seen.seq + 1), "in order, without a gap");
                        seen = offset;
                    }
                    GapOutput::Gap(_) => {
                        assert_ne!(server.offset().epoch, seen.epoch, "nothing was lost");
                        seen = server.offset();
                    }
                    GapOutput::Read(after) => {
                        assert_eq!(after, seen.clone());
                        assert!(read.replace(after).is_none(), "one read at a time");
                    }
                }
            }
        };
        for step in steps {
            let outputs = match step {
                GapStep::Publish => {
                    server.seq += 1;
                    gap.received(server.offset(), event(&server.offset()))
                }
                GapStep::PublishSilently => {
                    server.seq += 1;
                    Vec::new()
                }
                GapStep::Repeat(back) => {
                    let offset = at(&format!("{:x}", server.epoch), server.seq.saturating_sub(back).max(1));
                    if offset.seq > server.seq { continue }
                    gap.received(offset.clone(), event(&offset))
                }
                GapStep::FinishRead => match read.take() {
                    Some(after) => gap.read(server.since(&after)),
                    None => Vec::new(),
                },
                GapStep::Compare => gap.positioned(server.offset()),
                GapStep::Flush => {
                    server = ServerLog { epoch: server.epoch + 1, seq: 0 };
                    Vec::new()
                }
            };
            carry_out(outputs, &mut read, &server);
        }
        // Finally the pending reads complete, and comparisons detect the rest.
        for _ in 0..4 {
            if let Some(after) = read.take() {
                let outputs = gap.read(server.since(&after));
                carry_out(outputs, &mut read, &server);
            }
            let outputs = gap.positioned(server.offset());
            carry_out(outputs, &mut read, &server);
        }
        prop_assert_eq!(gap.cursor(), Some(&server.offset()));
    }
}
