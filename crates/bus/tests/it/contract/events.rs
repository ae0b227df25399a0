//! Events: offsets, event logs, and subscriptions.

use std::time::Duration;

use bus::{Bus, ChannelMessage, ContentDigest, LogRead, PublishOutcome, PublishPhase, Repeats};
use futures_util::future::join_all;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::{Epoch, Offset};
use protocol::json::Json;

use crate::nodes::TestSubscriptions;
use crate::sample::{event, offset, publish, publish_compared, publish_in, publish_unrecorded, user};

test_all!(
    events_have_consecutive_offsets_in_one_epoch,
    event_id_gets_one_offset_however_often_published,
    latest_512_event_ids_are_deduplicated,
    event_with_other_content_under_a_used_id_is_refused,
    latest_256_ids_with_content_are_compared,
    one_of_several_contents_at_once_is_published,
    conflict_among_events_published_together_refuses_itself_alone,
    id_of_an_event_published_without_content_is_a_conflict_with_any,
    unrecorded_events_are_in_the_sequence_of_the_others,
    unrestored_log_takes_only_events_of_its_restore_and_immediate_ones,
    restore_of_another_epoch_neither_publishes_nor_marks,
    log_is_read_page_by_page_after_an_offset,
    log_keeps_256_events_and_reports_a_gap_before,
    log_keeps_two_mib_and_reports_a_gap_before,
    unassigned_offset_is_reported_as_gap,
    offset_starts_at_zero_and_is_stable,
    subscriptions_receive_subscribed_users_only,
    every_node_receives_an_event_unchanged,
    published_event_has_the_time_of_the_bus,
    repeated_subscribe_is_ended_by_one_unsubscribe,
    special_characters_in_user_ids_work,
    concurrent_events_arrive_by_offset,
    slow_node_misses_events_of_the_hot_user_alone,
    events_published_together_are_in_their_sequence_without_repeats,
    events_published_together_wait_for_the_restore,
);

async fn events_have_consecutive_offsets_in_one_epoch(bus: &dyn Bus) {
    let (one, other) = (user("one"), user("other"));
    let first = publish(bus, &one, 1).await;
    let second = publish(bus, &one, 2).await;
    assert_eq!((first.seq, second.seq), (1, 2));
    assert_eq!(first.epoch, second.epoch);
    let elsewhere = publish(bus, &other, 1).await;
    assert_eq!(elsewhere.seq, 1, "offsets are per user");
    assert_ne!(elsewhere.epoch, first.epoch);
}

async fn event_id_gets_one_offset_however_often_published(bus: &dyn Bus) {
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(bus).await;
    subscriptions.handle.subscribe(&user).await.unwrap();
    publish(bus, &user, 1).await;
    assert_eq!(bus.publish(&user, &event(1)).await.unwrap(), PublishOutcome::Duplicate);
    let second = publish(bus, &user, 2).await;
    assert_eq!(second.seq, 2);
    assert_eq!((subscriptions.next_seq().await, subscriptions.next_seq().await), (1, 2));
}

async fn latest_512_event_ids_are_deduplicated(bus: &dyn Bus) {
    let user = user("GEN-001");
    for number in 1..=513 {
        publish(bus, &user, number).await;
    }
    assert_eq!(bus.publish(&user, &event(2)).await.unwrap(), PublishOutcome::Duplicate);
    assert!(matches!(
        bus.publish(&user, &event(1)).await.unwrap(),
        PublishOutcome::Assigned(Offset { seq: 514, .. })
    ));
}

async fn event_with_other_content_under_a_used_id_is_refused(bus: &dyn Bus) {
    let (user, other) = (user("GEN-001"), user("GEN-002"));
    let mut subscriptions = TestSubscriptions::open(bus).await;
    subscriptions.handle.subscribe(&user).await.unwrap();
    assert_eq!(seq(&publish_compared(bus, &user, 1, "a").await), Some(1));
    assert_eq!(publish_compared(bus, &user, 1, "a").await, PublishOutcome::Duplicate);
    assert_eq!(publish_compared(bus, &user, 1, "b").await, PublishOutcome::Conflict);
    // The refused content has left nothing behind.
    assert_eq!(publish_compared(bus, &user, 1, "b").await, PublishOutcome::Conflict);
    assert_eq!(publish_compared(bus, &user, 1, "a").await, PublishOutcome::Duplicate);
    assert_eq!(seq(&publish_compared(bus, &user, 2, "b").await), Some(2));
    assert_eq!(seq(&publish_compared(bus, &other, 1, "b").await), Some(1));
    // A repetition that may not be compared is dropped, as before.
    assert_eq!(bus.publish(&user, &event(1)).await.unwrap(), PublishOutcome::Duplicate);
    assert_eq!((subscriptions.next_seq().await, subscriptions.next_seq().await), (1, 2));
}

async fn latest_256_ids_with_content_are_compared(bus: &dyn Bus) {
    let user = user("GEN-001");
    for number in 1..=257 {
        assert!(seq(&publish_compared(bus, &user, number, "a").await).is_some());
    }
    assert_eq!(publish_compared(bus, &user, 2, "a").await, PublishOutcome::Duplicate);
    assert_eq!(publish_compared(bus, &user, 2, "b").await, PublishOutcome::Conflict);
    assert_eq!(seq(&publish_compared(bus, &user, 1, "b").await), Some(258));
}

async fn one_of_several_contents_at_once_is_published(bus: &dyn Bus) {
    let user = user("GEN-001");
    offset(bus, &user).await;
    let contents: Vec<_> = (0..16).map(|number| number.to_string()).collect();
    let outcomes = join_all(contents.iter().map(|content| publish_compared(bus, &user, 1, content))).await;
    let count = |of: PublishOutcome| outcomes.iter().filter(|outcome| **outcome == of).count();
    assert_eq!(outcomes.iter().filter_map(seq).count(), 1, "{outcomes:?}");
    assert_eq!(count(PublishOutcome::Conflict), 15, "{outcomes:?}");
}

async fn conflict_among_events_published_together_refuses_itself_alone(bus: &dyn Bus) {
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(bus).await;
    subscriptions.handle.subscribe(&user).await.unwrap();
    assert_eq!(seq(&publish_compared(bus, &user, 1, "a").await), Some(1));
    let content = |number: u64, content| Repeats::Compared(ContentDigest::of(&event(number).id, [content]));
    let events = [
        (event(2), content(2, "a")),
        (event(1), content(1, "b")),
        (event(3), Repeats::Unrecorded),
        (event(2), content(2, "b")),
        (event(1), content(1, "a")),
        (event(4), content(4, "a")),
    ];
    let outcomes = bus.publish_all(&user, &events, PublishPhase::Immediate).await.unwrap();
    assert_eq!(
        outcomes.iter().map(seq).collect::<Vec<_>>(),
        [Some(2), None, Some(3), None, None, Some(4)]
    );
    let conflicts: Vec<_> = outcomes
        .iter()
        .map(|outcome| *outcome == PublishOutcome::Conflict)
        .collect();
    assert_eq!(conflicts, [false, true, false, true, false, false]);
    for (expected, number) in [(1, 1), (2, 2), (3, 3), (4, 4)] {
        match subscriptions.next().await {
            ChannelMessage::Event { offset, envelope, .. } => {
                assert_eq!((offset.seq, as_sent(&envelope)), (expected, event(number)));
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn id_of_an_event_published_without_content_is_a_conflict_with_any(bus: &dyn Bus) {
    let user = user("GEN-001");
    publish(bus, &user, 1).await;
    assert_eq!(publish_compared(bus, &user, 1, "a").await, PublishOutcome::Conflict);
    assert_eq!(seq(&publish_compared(bus, &user, 2, "a").await), Some(2));
    let mut compared = Vec::new();
    for number in 1..=3 {
        compared.push(bus.is_compared(&user, &event(number).id).await.unwrap());
    }
    assert_eq!(compared, [false, true, false]);
}

async fn unrecorded_events_are_in_the_sequence_of_the_others(bus: &dyn Bus) {
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(bus).await;
    subscriptions.handle.subscribe(&user).await.unwrap();
    let start = offset(bus, &user).await;
    publish(bus, &user, 1).await;
    let second = publish_unrecorded(bus, &user, 2).await.unwrap();
    assert!(
        matches!(second, PublishOutcome::Assigned(Offset { seq: 2, .. })),
        "{second:?}"
    );
    publish(bus, &user, 3).await;
    for seq in 1..=3 {
        assert_eq!(subscriptions.next_seq().await, seq);
    }
    assert_eq!(
        numbers(&events(bus.read_log(&user, &start, 9).await.unwrap())),
        [1, 2, 3]
    );
}

async fn unrestored_log_takes_only_events_of_its_restore_and_immediate_ones(bus: &dyn Bus) {
    let user = user("GEN-001");
    let after_restore = PublishPhase::AfterRestore;
    assert_eq!(
        publish_in(bus, after_restore, &user, 7).await,
        PublishOutcome::Unrestored
    );
    let epoch = bus
        .unrestored_epoch(&user)
        .await
        .unwrap()
        .expect("a new log is unrestored");
    assert_eq!(
        offset(bus, &user).await,
        Offset {
            epoch: epoch.clone(),
            seq: 0
        }
    );
    let seq = async |phase, number| match publish_in(bus, phase, &user, number).await {
        PublishOutcome::Assigned(offset) => {
            assert_eq!(offset.epoch, epoch);
            Some(offset.seq)
        }
        PublishOutcome::Duplicate => None,
        refused => panic!("event {number}: {refused:?}"),
    };
    assert_eq!(seq(PublishPhase::DuringRestore(&epoch), 1).await, Some(1));
    assert_eq!(seq(PublishPhase::Immediate, 2).await, Some(2));
    assert_eq!(
        publish_in(bus, after_restore, &user, 7).await,
        PublishOutcome::Unrestored
    );
    assert_eq!(seq(PublishPhase::DuringRestore(&epoch), 3).await, Some(3));

    assert!(bus.mark_restored(&user, &epoch).await.unwrap());
    assert!(
        bus.mark_restored(&user, &epoch).await.unwrap(),
        "once more, after a lost reply"
    );
    assert_eq!(bus.unrestored_epoch(&user).await.unwrap(), None);
    // The refused event has left nothing behind: its id is not taken for that of a published one.
    assert_eq!(seq(after_restore, 7).await, Some(4));
    assert_eq!(seq(after_restore, 7).await, None);
    assert_eq!(
        seq(PublishPhase::DuringRestore(&epoch), 8).await,
        Some(5),
        "another restore was faster"
    );
}

async fn restore_of_another_epoch_neither_publishes_nor_marks(bus: &dyn Bus) {
    let user = user("GEN-001");
    let lost = Epoch::new("0badcafe").unwrap();
    assert!(!bus.mark_restored(&user, &lost).await.unwrap(), "there is no log");
    let epoch = bus.unrestored_epoch(&user).await.unwrap();
    assert!(epoch.is_some());
    let restore = PublishPhase::DuringRestore(&lost);
    assert_eq!(publish_in(bus, restore, &user, 1).await, PublishOutcome::Unrestored);
    assert!(!bus.mark_restored(&user, &lost).await.unwrap());
    assert_eq!(bus.unrestored_epoch(&user).await.unwrap(), epoch);
}

async fn log_is_read_page_by_page_after_an_offset(bus: &dyn Bus) {
    let user = user("GEN-001");
    let start = offset(bus, &user).await;
    for number in 1..=5 {
        publish(bus, &user, number).await;
    }
    let page = events(bus.read_log(&user, &start, 3).await.unwrap());
    assert_eq!(numbers(&page), [1, 2, 3]);
    assert_eq!(as_sent(&page[0].1), event(1), "the event is read unchanged");
    let rest = events(bus.read_log(&user, &page[2].0, 3).await.unwrap());
    assert_eq!(numbers(&rest), [4, 5]);
    let none = events(bus.read_log(&user, &rest[1].0, 3).await.unwrap());
    assert!(none.is_empty());
}

async fn log_keeps_256_events_and_reports_a_gap_before(bus: &dyn Bus) {
    let user = user("GEN-001");
    let mut now = publish(bus, &user, 1).await;
    for number in 2..=300 {
        now = publish(bus, &user, number).await;
    }
    let at = |seq| Offset {
        epoch: now.epoch.clone(),
        seq,
    };
    let entries = events(bus.read_log(&user, &at(44), 1000).await.unwrap());
    assert_eq!(numbers(&entries), (45..=300).collect::<Vec<_>>());
    assert_eq!(bus.read_log(&user, &at(43), 1000).await.unwrap(), LogRead::Gap(at(300)));
    assert_eq!(bus.read_log(&user, &at(43), 1).await.unwrap(), LogRead::Gap(at(300)));
}

async fn log_keeps_two_mib_and_reports_a_gap_before(bus: &dyn Bus) {
    let user = user("GEN-001");
    let large = |number: u64| Envelope {
        data: Json::of(&(number, "x".repeat(15 * 1024))),
        ..event(number)
    };
    for number in 1..=200 {
        bus.publish(&user, &large(number)).await.unwrap();
    }
    let now = offset(bus, &user).await;
    let at = |seq| Offset {
        epoch: now.epoch.clone(),
        seq,
    };
    // 135 events of 15 KiB and their envelopes.
    let entries = events(bus.read_log(&user, &at(65), 1000).await.unwrap());
    assert_eq!(entries.len(), 135);
    assert_eq!((&entries[0].0, as_sent(&entries[0].1)), (&at(66), large(66)));
    for lost in [at(64), at(0)] {
        assert_eq!(bus.read_log(&user, &lost, 1000).await.unwrap(), LogRead::Gap(at(200)));
    }

    // As large events are dropped, small ones fit again, up to the bound in number.
    for number in 201..=500 {
        publish(bus, &user, number).await;
    }
    let entries = events(bus.read_log(&user, &at(244), 1000).await.unwrap());
    assert_eq!(numbers(&entries), (245..=500).collect::<Vec<_>>());
    assert_eq!(
        bus.read_log(&user, &at(243), 1000).await.unwrap(),
        LogRead::Gap(at(500))
    );
}

async fn unassigned_offset_is_reported_as_gap(bus: &dyn Bus) {
    let user = user("GEN-001");
    let now = publish(bus, &user, 1).await;
    let foreign = Offset {
        epoch: Epoch::new("0badcafe").unwrap(),
        seq: 1,
    };
    assert_eq!(
        bus.read_log(&user, &foreign, 9).await.unwrap(),
        LogRead::Gap(now.clone())
    );
    let future = Offset { seq: 7, ..now.clone() };
    assert_eq!(bus.read_log(&user, &future, 9).await.unwrap(), LogRead::Gap(now));
}

async fn offset_starts_at_zero_and_is_stable(bus: &dyn Bus) {
    let (one, other) = (user("one"), user("other"));
    let users = [one.clone(), other.clone()];
    let before = bus.offsets(&users).await.unwrap();
    assert_eq!((before[0].seq, before[1].seq), (0, 0));
    assert_eq!(bus.offsets(&users).await.unwrap(), before);
    let offset = publish(bus, &other, 1).await;
    assert_eq!(offset.epoch, before[1].epoch, "reading the offset starts the epoch");
    let after = bus.offsets(&[other, one]).await.unwrap();
    assert_eq!(after, [offset, before[0].clone()]);
}

async fn subscriptions_receive_subscribed_users_only(bus: &dyn Bus) {
    let (wanted, left, never) = (user("wanted"), user("left"), user("never"));
    let mut subscriptions = TestSubscriptions::open(bus).await;
    assert!(subscriptions.handle.is_live());
    for user in [&wanted, &left] {
        subscriptions.handle.subscribe(user).await.unwrap();
    }
    publish(bus, &left, 1).await;
    assert_eq!(subscriptions.next_seq().await, 1);
    subscriptions.handle.unsubscribe(&left);
    // An unsubscribe is applied before later requests.
    subscriptions.handle.subscribe(&user("later")).await.unwrap();
    for user in [&left, &never, &wanted] {
        publish(bus, user, 2).await;
    }
    let ChannelMessage::Event { user, .. } = subscriptions.next().await else {
        panic!("missed something");
    };
    assert_eq!(user, wanted);
    assert_eq!(subscriptions.try_next(), None);
}

async fn every_node_receives_an_event_unchanged(bus: &dyn Bus) {
    let user = user("GEN-001");
    let mut subscribers = [TestSubscriptions::open(bus).await, TestSubscriptions::open(bus).await];
    for subscriptions in &subscribers {
        subscriptions.handle.subscribe(&user).await.unwrap();
    }
    let assigned = publish(bus, &user, 7).await;
    for subscriptions in &mut subscribers {
        let ChannelMessage::Event {
            user: whose,
            offset,
            envelope,
        } = subscriptions.next().await
        else {
            panic!("missed something");
        };
        assert_eq!((&whose, &offset, as_sent(&envelope)), (&user, &assigned, event(7)));
    }
}

async fn published_event_has_the_time_of_the_bus(bus: &dyn Bus) {
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(bus).await;
    subscriptions.handle.subscribe(&user).await.unwrap();
    let start = offset(bus, &user).await;
    // The clock of a server is known to half of the round trip of its last heartbeat.
    let error = Duration::from_secs(5);
    let before = bus.server_time().minus(error);
    publish(bus, &user, 1).await;
    let after = bus.server_time().plus(error);
    let ChannelMessage::Event { envelope, .. } = subscriptions.next().await else {
        panic!("missed something");
    };
    let published = envelope.published_at.expect("no time of the publish");
    assert!((before..=after).contains(&published), "{before} {published} {after}");
    let logged = events(bus.read_log(&user, &start, 1).await.unwrap());
    assert_eq!(logged[0].1.published_at, Some(published), "the log has the same time");
}

async fn repeated_subscribe_is_ended_by_one_unsubscribe(bus: &dyn Bus) {
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(bus).await;
    for _ in 0..2 {
        subscriptions.handle.subscribe(&user).await.unwrap();
    }
    publish(bus, &user, 1).await;
    publish(bus, &user, 2).await;
    assert_eq!((subscriptions.next_seq().await, subscriptions.next_seq().await), (1, 2));
    subscriptions.handle.unsubscribe(&user);
    subscriptions
        .handle
        .subscribe(&crate::sample::user("later"))
        .await
        .unwrap();
    publish(bus, &user, 3).await;
    publish(bus, &crate::sample::user("later"), 1).await;
    assert_eq!(subscriptions.next_seq().await, 1, "from the second subscription");
}

async fn special_characters_in_user_ids_work(bus: &dyn Bus) {
    let users = ["a}:ev", "jobs:interactive", "%7B", "with space", "*", "user@host|1"].map(user);
    let mut subscriptions = TestSubscriptions::open(bus).await;
    for user in &users {
        subscriptions.handle.subscribe(user).await.unwrap();
        publish(bus, user, 1).await;
        let ChannelMessage::Event {
            user: whose, offset, ..
        } = subscriptions.next().await
        else {
            panic!("missed something");
        };
        assert_eq!((&whose, offset.seq), (user, 1));
    }
}

async fn concurrent_events_arrive_by_offset(bus: &dyn Bus) {
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(bus).await;
    subscriptions.handle.subscribe(&user).await.unwrap();
    let published = join_all((1..=500).map(|number| publish(bus, &user, number))).await;
    let mut offsets: Vec<u64> = published.into_iter().map(|offset| offset.seq).collect();
    offsets.sort_unstable();
    assert_eq!(offsets, (1..=500).collect::<Vec<_>>());
    for seq in 1..=500 {
        assert_eq!(subscriptions.next_seq().await, seq);
    }
}

async fn slow_node_misses_events_of_the_hot_user_alone(bus: &dyn Bus) {
    let (hot, quiet) = (user("hot"), user("quiet"));
    let mut subscriptions = TestSubscriptions::open(bus).await;
    for user in [&hot, &quiet] {
        subscriptions.handle.subscribe(user).await.unwrap();
    }
    // More than a node has room for, and nothing is read meanwhile.
    let numbers: Vec<u64> = (1..=10_000).collect();
    for numbers in numbers.chunks(500) {
        join_all(numbers.iter().map(|number| publish(bus, &hot, *number))).await;
        publish(bus, &quiet, numbers[0]).await;
    }
    let (mut of_hot, mut of_quiet, mut has_missed) = (0, 0, false);
    while of_quiet < 20 || !has_missed {
        match subscriptions.next().await {
            ChannelMessage::Event { user, offset, .. } if user == hot => {
                assert!(has_missed || offset.seq == of_hot + 1, "gap before its MissedOf");
                of_hot += 1;
            }
            ChannelMessage::Event { offset, .. } => {
                of_quiet += 1;
                assert_eq!(offset.seq, of_quiet);
            }
            ChannelMessage::MissedOf(users) => {
                assert_eq!(users, std::slice::from_ref(&hot));
                has_missed = true;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(has_missed && of_hot >= 1_000, "{of_hot} were queued");
    // From here on messages arrive again.
    let last = publish(bus, &hot, 10_001).await;
    subscriptions.until(&last).await;
}

async fn events_published_together_are_in_their_sequence_without_repeats(bus: &dyn Bus) {
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(bus).await;
    subscriptions.handle.subscribe(&user).await.unwrap();
    publish(bus, &user, 1).await;
    let together = |numbers: &[u64], repeats| -> Vec<_> { numbers.iter().map(|n| (event(*n), repeats)).collect() };
    let events = together(&[2, 1, 3, 2, 4], Repeats::Dropped);
    let outcomes = bus.publish_all(&user, &events, PublishPhase::Immediate).await.unwrap();
    let seqs: Vec<_> = outcomes.iter().map(seq).collect();
    assert_eq!(seqs, [Some(2), None, Some(3), None, Some(4)]);
    for expected in 1..=4 {
        match subscriptions.next().await {
            ChannelMessage::Event { offset, envelope, .. } => {
                assert_eq!((offset.seq, as_sent(&envelope)), (expected, event(expected)));
            }
            other => panic!("{other:?}"),
        }
    }
    // The log keeps its bound when more come at once than it holds.
    let numbers: Vec<u64> = (5..=304).collect();
    let events = together(&numbers, Repeats::Unrecorded);
    let outcomes = bus.publish_all(&user, &events, PublishPhase::Immediate).await.unwrap();
    assert_eq!(outcomes.iter().map(seq).max(), Some(Some(304)));
    let mut after = offset(bus, &user).await;
    after.seq -= 256;
    let kept = self::events(bus.read_log(&user, &after, 300).await.unwrap());
    assert_eq!(kept.len(), 256);
    assert_eq!(kept[255].1.data, Json::of(&304));
    after.seq -= 1;
    assert!(matches!(
        bus.read_log(&user, &after, 300).await.unwrap(),
        LogRead::Gap(_)
    ));
    assert!(
        bus.publish_all(&user, &[], PublishPhase::Immediate)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn events_published_together_wait_for_the_restore(bus: &dyn Bus) {
    let user = user("GEN-001");
    let epoch = bus.unrestored_epoch(&user).await.unwrap().unwrap();
    let events = [1, 2].map(|number| (event(number), Repeats::Dropped));
    let refused = bus
        .publish_all(&user, &events, PublishPhase::AfterRestore)
        .await
        .unwrap();
    assert_eq!(refused, [PublishOutcome::Unrestored, PublishOutcome::Unrestored]);
    assert!(bus.mark_restored(&user, &epoch).await.unwrap());
    let published = bus
        .publish_all(&user, &events, PublishPhase::AfterRestore)
        .await
        .unwrap();
    assert_eq!(published.iter().map(seq).collect::<Vec<_>>(), [Some(1), Some(2)]);
}

/// Seq of an event that was published.
fn seq(outcome: &PublishOutcome) -> Option<u64> {
    match outcome {
        PublishOutcome::Assigned(offset) => Some(offset.seq),
        PublishOutcome::Duplicate | PublishOutcome::Conflict | PublishOutcome::Unrestored => None,
    }
}

/// Envelope as its publisher sent it.
fn as_sent(envelope: &Envelope) -> Envelope {
    Envelope {
        published_at: None,
        ..envelope.clone()
    }
}

fn events(read: LogRead) -> Vec<(Offset, Envelope)> {
    match read {
        LogRead::Events(events) => events,
        LogRead::Gap(now) => panic!("gap, current offset {now}"),
    }
}

/// Payloads, which are the numbers of the events, checked against their offsets.
fn numbers(events: &[(Offset, Envelope)]) -> Vec<u64> {
    let number = |(offset, envelope): &(Offset, Envelope)| {
        let number: u64 = envelope.data.read().unwrap();
        assert_eq!(offset.seq, number);
        number
    };
    events.iter().map(number).collect()
}
