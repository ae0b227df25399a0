//! Notices for dropped messages, and the users' shares, at any pace of the reader.

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
fn filled(bound: usize, users: usize, count: u64) -> (MessageQueue, mpsc::Receiver<ChannelMessage>) {
    let (mut queue, received) = MessageQueue::new(bound);
    for seq in 1..=count {
        for number in 0..users {
            queue.push(&user(number), event(&user(number), seq));
        }
    }
    (queue, received)
}

/// Unread messages: the number of events of each user, and the notices.
fn read_all(received: &mut mpsc::Receiver<ChannelMessage>) -> (BTreeMap<String, usize>, Vec<ChannelMessage>) {
    let (mut events, mut notices) = (BTreeMap::<String, usize>::new(), Vec::new());
    while let Ok(message) = received.try_recv() {
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
        let (mut queue, mut received) = MessageQueue::new(bound);
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
                0 => queue.push_missed(),
                1 => queue.push_missed_of(vec![user.clone()]),
                2 => queue.push_missed_of((0..3).map(self::user).collect()),
                _ => queue.push(&user, event(&user, seq)),
            };
            unread.push((user, seq));
            for _ in 0..reads {
                let Ok(message) = received.try_recv() else { break };
                read(message, &mut unread);
            }
        }
        while let Ok(message) = received.try_recv() {
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
        let (mut queue, mut received) = filled(1600, hot, 5_000);
        for number in 10..110 {
            assert!(
                !queue.push(&user(number), event(&user(number), 1)),
                "{number} is not hot"
            );
        }
        let (mut events, notices) = read_all(&mut received);
        assert_eq!(notices, notice_of(&(0..hot).collect::<Vec<_>>()));
        for number in 0..hot {
            let queued = events.remove(user(number).as_str()).unwrap();
            assert!((500..=most).contains(&queued), "{queued} of {hot} hot users");
        }
        assert_eq!(events.len(), 100, "the others miss nothing");
    }
}

#[test]
fn user_has_a_share_again_once_messages_were_read() {
    let (mut queue, mut received) = filled(1600, 1, 5_000);
    let (events, notices) = read_all(&mut received);
    assert!(events["u0"] < 5_000 && notices.len() == 1);
    for seq in 1..=400 {
        assert!(!queue.push(&user(0), event(&user(0), seq)));
    }
    assert_eq!(read_all(&mut received).0["u0"], 400);
}

#[test]
fn notice_of_a_user_is_repeated_only_once_it_was_read() {
    let (mut queue, mut received) = filled(9, 1, 100);
    assert!(
        !queue.push(&user(0), event(&user(0), 101)),
        "the first notice is unread"
    );
    let is_notice = |message: &ChannelMessage| matches!(message, ChannelMessage::MissedOf(_));
    while received.try_recv().is_ok_and(|message| !is_notice(&message)) {}
    for seq in 1..=100 {
        queue.push(&user(0), event(&user(0), seq));
    }
    let (_, later) = read_all(&mut received);
    assert_eq!(later, [ChannelMessage::MissedOf(vec![user(0)])]);
}

#[test]
fn full_queue_ends_with_missed() {
    // Each user has one message, so none is hot.
    let (_queue, mut received) = filled(9, 100, 1);
    let (events, notices) = read_all(&mut received);
    assert_eq!((events.len(), notices), (9, vec![ChannelMessage::Missed]));
}

#[test]
fn missed_is_not_repeated_while_unread() {
    let (mut queue, mut received) = MessageQueue::new(9);
    for seq in 0..100 {
        queue.push_missed();
        queue.push(&user(0), event(&user(0), seq));
    }
    let (_, notices) = read_all(&mut received);
    assert_eq!(notices, [ChannelMessage::Missed]);
    queue.push_missed();
    assert_eq!(received.try_recv(), Ok(ChannelMessage::Missed));
}
