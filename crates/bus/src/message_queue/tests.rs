//! Notices for dropped messages, the users' turns and shares, at any pace of the reader.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::cluster::offset::{Epoch, Offset};
use protocol::event::DeliveryClass;
use protocol::id::EventId;
use protocol::json::Json;

use super::*;

fn user(number: usize) -> UserId {
    UserId::new(format!("u{number}")).unwrap()
}

fn event(user: &UserId, seq: u64) -> ChannelMessage {
    ChannelMessage::Event {
        user: user.clone(),
        offset: Offset {
            epoch: Epoch::new("e").unwrap(),
            seq,
        },
        envelope: Arc::new(Envelope {
            v: Envelope::VERSION,
            id: EventId::new("id").unwrap(),
            audience: Audience::User,
            class: DeliveryClass::Feed,
            event: "test".to_owned(),
            data: Json::of(&seq),
            traceparent: None,
            published_at: None,
        }),
    }
}

/// Queue of this bound after `count` messages of each of the first `users` users, in turn.
fn filled(bound: usize, users: usize, count: u64) -> (MessageQueue, ChannelMessages) {
    let (queue, received) = MessageQueue::new(bound);
    for seq in 1..=count {
        for number in 0..users {
            queue.push(event(&user(number), seq));
        }
    }
    (queue, received)
}

/// Unread messages: the number of events of each user, and the notices.
fn read_all(received: &mut ChannelMessages) -> (BTreeMap<String, usize>, Vec<ChannelMessage>) {
    let (mut events, mut notices) = (BTreeMap::<String, usize>::new(), Vec::new());
    while let Some(message) = received.try_recv() {
        match message {
            ChannelMessage::Event { user, .. } => *events.entry(user.to_string()).or_default() += 1,
            notice => notices.push(notice),
        }
    }
    (events, notices)
}

proptest! {
    /// Each dropped event is covered by a notice that is read later, at any pace of the reader.
    #[test]
    fn every_dropped_event_is_followed_by_a_notice(
        bound in 1usize..30,
        steps in prop::collection::vec((0usize..3, 0usize..6, 0usize..20), 1..200),
    ) {
        let (queue, mut received) = MessageQueue::new(bound);
        let mut unread: Vec<(UserId, u64)> = Vec::new();
        let read = |message: ChannelMessage, unread: &mut Vec<(UserId, u64)>| match message {
            ChannelMessage::Event { user, offset, .. } => unread.retain(|one| *one != (user.clone(), offset.seq)),
            ChannelMessage::MissedOf(users) => unread.retain(|(user, _)| !users.contains(user)),
            _missed => unread.clear(),
        };
        for (seq, (number, reads, kind)) in (1..).zip(steps) {
            let user = user(number);
            // Most are queued; others were lost before.
            match kind {
                0 => queue.push(ChannelMessage::Missed),
                1 => queue.push_missed_of(vec![user.clone()]),
                2 => queue.push_missed_of((0..3).map(self::user).collect()),
                _ => queue.push(event(&user, seq)),
            };
            unread.push((user, seq));
            for _ in 0..reads {
                let Some(message) = received.try_recv() else { break };
                read(message, &mut unread);
            }
        }
        while let Some(message) = received.try_recv() {
            read(message, &mut unread);
        }
        prop_assert!(unread.is_empty(), "neither read nor covered by a notice: {unread:?}");
    }
}

#[test]
fn hot_user_fills_half_of_the_queue_and_two_a_third_each() {
    let notice_of = |numbers: &[usize]| -> Vec<ChannelMessage> {
        let users = numbers
            .iter()
            .map(|number| ChannelMessage::MissedOf(vec![user(*number)]));
        users.collect()
    };
    for (hot, most) in [(1, 900), (2, 600)] {
        let (queue, mut received) = filled(1600, hot, 5_000);
        for number in 10..110 {
            assert!(!queue.push(event(&user(number), 1)), "{number} is not hot");
        }
        let (mut events, notices) = read_all(&mut received);
        assert_eq!(notices.len(), hot);
        let expected = notice_of(&(0..hot).collect::<Vec<_>>());
        assert!(expected.iter().all(|notice| notices.contains(notice)), "{notices:?}");
        for number in 0..hot {
            let queued = events.remove(user(number).as_str()).unwrap();
            assert!((500..=most).contains(&queued), "{queued} of {hot} hot users");
        }
        assert_eq!(events.len(), 100, "the others miss nothing");
    }
}

#[test]
fn user_has_a_share_again_once_messages_were_read() {
    let (queue, mut received) = filled(1600, 1, 5_000);
    let (events, notices) = read_all(&mut received);
    assert!(events["u0"] < 5_000 && notices.len() == 1);
    for seq in 1..=400 {
        assert!(!queue.push(event(&user(0), seq)));
    }
    assert_eq!(read_all(&mut received).0["u0"], 400);
}

#[test]
fn notice_of_a_user_is_repeated_only_once_it_was_read() {
    let (queue, mut received) = filled(9, 1, 100);
    assert!(!queue.push(event(&user(0), 101)), "the first notice is unread");
    let is_notice = |message: &ChannelMessage| matches!(message, ChannelMessage::MissedOf(_));
    while received.try_recv().is_some_and(|message| !is_notice(&message)) {}
    for seq in 1..=100 {
        queue.push(event(&user(0), seq));
    }
    let (_, later) = read_all(&mut received);
    assert_eq!(later, [ChannelMessage::MissedOf(vec![user(0)])]);
}

#[test]
fn full_queue_has_a_missed_that_is_read_first() {
    // Each user has one message, so none is hot.
    let (_queue, mut received) = filled(9, 100, 1);
    assert_eq!(received.try_recv(), Some(ChannelMessage::Missed));
    let (events, notices) = read_all(&mut received);
    assert_eq!((events.len(), notices), (9, vec![]));
}

#[test]
fn missed_is_not_repeated_while_unread() {
    let (queue, mut received) = MessageQueue::new(9);
    for seq in 0..100 {
        queue.push(ChannelMessage::Missed);
        queue.push(event(&user(0), seq));
    }
    let (_, notices) = read_all(&mut received);
    assert_eq!(notices, [ChannelMessage::Missed]);
    queue.push(ChannelMessage::Missed);
    assert_eq!(received.try_recv(), Some(ChannelMessage::Missed));
}

/// User and seq of what is read next.
fn next(received: &mut ChannelMessages) -> (String, u64) {
    match received.try_recv() {
        Some(ChannelMessage::Event { user, offset, .. }) => (user.to_string(), offset.seq),
        other => panic!("{other:?}"),
    }
}

#[test]
fn message_waits_for_one_of_a_hot_user_and_each_user_has_its_sequence() {
    let (queue, mut received) = filled(1600, 1, 500);
    assert_eq!(next(&mut received).1, 1);
    for seq in 1..=2 {
        queue.push(event(&user(7), seq));
    }
    let read: Vec<_> = (0..5).map(|_| next(&mut received)).collect();
    let of = |number: usize, seq| (user(number).to_string(), seq);
    assert_eq!(read, [of(0, 2), of(7, 1), of(0, 3), of(7, 2), of(0, 4)]);
}

#[tokio::test]
async fn receiver_reads_what_was_sent_and_then_that_no_sender_is_left() {
    let (queue, mut received) = filled(9, 1, 1);
    let clone = queue.clone();
    drop(queue);
    assert!(!clone.is_closed());
    clone.push(ChannelMessage::Missed);
    drop(clone);
    assert_eq!(received.recv().await, Some(ChannelMessage::Missed));
    assert!(matches!(received.recv().await, Some(ChannelMessage::Event { .. })));
    assert_eq!(received.recv().await, None);
    let (queue, received) = MessageQueue::new(9);
    drop(received);
    queue.closed().await;
    assert!(queue.is_closed());
}

#[tokio::test]
async fn waiting_receiver_is_woken_by_a_message_and_by_the_end() {
    let (queue, mut received) = MessageQueue::new(9);
    let (read, ()) = tokio::join!(received.recv(), async {
        tokio::task::yield_now().await;
        queue.push(event(&user(0), 1));
    });
    assert!(read.is_some());
    let (read, ()) = tokio::join!(received.recv(), async {
        tokio::task::yield_now().await;
        drop(queue);
    });
    assert_eq!(read, None);
}
