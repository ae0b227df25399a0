//! Events: one order per user, a log that remembers, feeds that hear.

use bus::{Bus, ChannelMessage, LogRead, PublishOutcome};
use futures_util::future::join_all;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::{Epoch, Offset};
use protocol::json::Json;

use crate::nodes::Ear;
use crate::sample::{event, offset, publish, user};

holds_for_both!(
    events_have_consecutive_places_in_one_epoch,
    an_event_id_has_one_place_however_often_it_is_published,
    only_the_newest_512_ids_are_remembered,
    the_log_gives_back_what_came_after_a_place_page_by_page,
    the_log_holds_the_newest_256_events_and_says_so,
    the_log_holds_two_mib_of_events_and_says_so,
    a_place_that_never_was_is_reported_lost,
    a_position_begins_at_zero_and_stays,
    a_feed_hears_the_users_it_subscribed_to_and_no_others,
    every_node_hears_an_event_unharmed,
    two_subscriptions_are_one_and_one_unsubscribe_ends_them,
    odd_user_ids_are_users_like_others,
    events_published_at_once_are_heard_in_their_order,
    a_node_that_does_not_read_is_told_that_it_missed_something,
);

async fn events_have_consecutive_places_in_one_epoch(bus: &dyn Bus) {
    let (one, other) = (user("one"), user("other"));
    let first = publish(bus, &one, 1).await;
    let second = publish(bus, &one, 2).await;
    assert_eq!((first.seq, second.seq), (1, 2));
    assert_eq!(first.epoch, second.epoch);
    let elsewhere = publish(bus, &other, 1).await;
    assert_eq!(elsewhere.seq, 1, "each user has an order of its own");
    assert_ne!(elsewhere.epoch, first.epoch);
}

async fn an_event_id_has_one_place_however_often_it_is_published(bus: &dyn Bus) {
    let user = user("GEN-001");
    let mut ear = Ear::open(bus).await;
    ear.feed.subscribe(&user).await.unwrap();
    publish(bus, &user, 1).await;
    assert_eq!(bus.publish(&user, &event(1)).await.unwrap(), PublishOutcome::Duplicate);
    let second = publish(bus, &user, 2).await;
    assert_eq!(second.seq, 2);
    assert_eq!((ear.next_seq().await, ear.next_seq().await), (1, 2));
}

async fn only_the_newest_512_ids_are_remembered(bus: &dyn Bus) {
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

async fn the_log_gives_back_what_came_after_a_place_page_by_page(bus: &dyn Bus) {
    let user = user("GEN-001");
    let start = offset(bus, &user).await;
    for number in 1..=5 {
        publish(bus, &user, number).await;
    }
    let page = events(bus.read_log(&user, &start, 3).await.unwrap());
    assert_eq!(numbers(&page), [1, 2, 3]);
    assert_eq!(page[0].1, event(1), "an event comes back as it was");
    let rest = events(bus.read_log(&user, &page[2].0, 3).await.unwrap());
    assert_eq!(numbers(&rest), [4, 5]);
    let none = events(bus.read_log(&user, &rest[1].0, 3).await.unwrap());
    assert!(none.is_empty());
}

async fn the_log_holds_the_newest_256_events_and_says_so(bus: &dyn Bus) {
    let user = user("GEN-001");
    let mut now = publish(bus, &user, 1).await;
    for number in 2..=300 {
        now = publish(bus, &user, number).await;
    }
    let at = |seq| Offset {
        epoch: now.epoch.clone(),
        seq,
    };
    let held = events(bus.read_log(&user, &at(44), 1000).await.unwrap());
    assert_eq!(numbers(&held), (45..=300).collect::<Vec<_>>());
    assert_eq!(bus.read_log(&user, &at(43), 1000).await.unwrap(), LogRead::Gap(at(300)));
    assert_eq!(bus.read_log(&user, &at(43), 1).await.unwrap(), LogRead::Gap(at(300)));
}

async fn the_log_holds_two_mib_of_events_and_says_so(bus: &dyn Bus) {
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
    // 135 of 15 KiB and what is around each.
    let held = events(bus.read_log(&user, &at(65), 1000).await.unwrap());
    assert_eq!(held.len(), 135);
    assert_eq!(held[0], (at(66), large(66)));
    for lost in [at(64), at(0)] {
        assert_eq!(bus.read_log(&user, &lost, 1000).await.unwrap(), LogRead::Gap(at(200)));
    }

    // Small ones have room again as the large ones leave, up to their number.
    for number in 201..=500 {
        publish(bus, &user, number).await;
    }
    let held = events(bus.read_log(&user, &at(244), 1000).await.unwrap());
    assert_eq!(numbers(&held), (245..=500).collect::<Vec<_>>());
    assert_eq!(
        bus.read_log(&user, &at(243), 1000).await.unwrap(),
        LogRead::Gap(at(500))
    );
}

async fn a_place_that_never_was_is_reported_lost(bus: &dyn Bus) {
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

async fn a_position_begins_at_zero_and_stays(bus: &dyn Bus) {
    let (one, other) = (user("one"), user("other"));
    let users = [one.clone(), other.clone()];
    let before = bus.offsets(&users).await.unwrap();
    assert_eq!((before[0].seq, before[1].seq), (0, 0));
    assert_eq!(bus.offsets(&users).await.unwrap(), before);
    let place = publish(bus, &other, 1).await;
    assert_eq!(place.epoch, before[1].epoch, "asking begins the order");
    let after = bus.offsets(&[other, one]).await.unwrap();
    assert_eq!(after, [place, before[0].clone()]);
}

async fn a_feed_hears_the_users_it_subscribed_to_and_no_others(bus: &dyn Bus) {
    let (wanted, left, never) = (user("wanted"), user("left"), user("never"));
    let mut ear = Ear::open(bus).await;
    assert!(ear.feed.is_live());
    for user in [&wanted, &left] {
        ear.feed.subscribe(user).await.unwrap();
    }
    publish(bus, &left, 1).await;
    assert_eq!(ear.next_seq().await, 1);
    ear.feed.unsubscribe(&left);
    // An unsubscribe is carried out before what is asked later.
    ear.feed.subscribe(&user("later")).await.unwrap();
    for user in [&left, &never, &wanted] {
        publish(bus, user, 2).await;
    }
    let ChannelMessage::Event { user, .. } = ear.next().await else {
        panic!("missed something");
    };
    assert_eq!(user, wanted);
    assert_eq!(ear.try_next(), None);
}

async fn every_node_hears_an_event_unharmed(bus: &dyn Bus) {
    let user = user("GEN-001");
    let mut ears = [Ear::open(bus).await, Ear::open(bus).await];
    for ear in &ears {
        ear.feed.subscribe(&user).await.unwrap();
    }
    let place = publish(bus, &user, 7).await;
    for ear in &mut ears {
        let ChannelMessage::Event {
            user: whose,
            offset,
            envelope,
        } = ear.next().await
        else {
            panic!("missed something");
        };
        assert_eq!((&whose, &offset, &*envelope), (&user, &place, &event(7)));
    }
}

async fn two_subscriptions_are_one_and_one_unsubscribe_ends_them(bus: &dyn Bus) {
    let user = user("GEN-001");
    let mut ear = Ear::open(bus).await;
    for _ in 0..2 {
        ear.feed.subscribe(&user).await.unwrap();
    }
    publish(bus, &user, 1).await;
    publish(bus, &user, 2).await;
    assert_eq!((ear.next_seq().await, ear.next_seq().await), (1, 2));
    ear.feed.unsubscribe(&user);
    ear.feed.subscribe(&crate::sample::user("later")).await.unwrap();
    publish(bus, &user, 3).await;
    publish(bus, &crate::sample::user("later"), 1).await;
    assert_eq!(ear.next_seq().await, 1, "of the later one");
}

async fn odd_user_ids_are_users_like_others(bus: &dyn Bus) {
    let users = ["a}:ev", "jobs:interactive", "%7B", "with space", "*", "user@host|1"].map(user);
    let mut ear = Ear::open(bus).await;
    for user in &users {
        ear.feed.subscribe(user).await.unwrap();
        publish(bus, user, 1).await;
        let ChannelMessage::Event {
            user: whose, offset, ..
        } = ear.next().await
        else {
            panic!("missed something");
        };
        assert_eq!((&whose, offset.seq), (user, 1));
    }
}

async fn events_published_at_once_are_heard_in_their_order(bus: &dyn Bus) {
    let user = user("GEN-001");
    let mut ear = Ear::open(bus).await;
    ear.feed.subscribe(&user).await.unwrap();
    let published = join_all((1..=500).map(|number| publish(bus, &user, number))).await;
    let mut places: Vec<u64> = published.into_iter().map(|place| place.seq).collect();
    places.sort_unstable();
    assert_eq!(places, (1..=500).collect::<Vec<_>>());
    for seq in 1..=500 {
        assert_eq!(ear.next_seq().await, seq);
    }
}

async fn a_node_that_does_not_read_is_told_that_it_missed_something(bus: &dyn Bus) {
    let user = user("GEN-001");
    let mut ear = Ear::open(bus).await;
    ear.feed.subscribe(&user).await.unwrap();
    let numbers: Vec<u64> = (1..=10_000).collect();
    for numbers in numbers.chunks(500) {
        join_all(numbers.iter().map(|number| publish(bus, &user, *number))).await;
    }
    let mut seen = 0;
    while let ChannelMessage::Event { offset, .. } = ear.next().await {
        seen += 1;
        assert_eq!(offset.seq, seen, "no hole before the news of it");
    }
    assert!(seen >= 1000, "only {seen} were kept");
    // From here on it hears again.
    let last = publish(bus, &user, 10_001).await;
    ear.until(&last).await;
}

fn events(past: LogRead) -> Vec<(Offset, Envelope)> {
    match past {
        LogRead::Events(events) => events,
        LogRead::Gap(now) => panic!("lost, now {now}"),
    }
}

/// The payloads, which are the numbers of the events, checked against their places.
fn numbers(events: &[(Offset, Envelope)]) -> Vec<u64> {
    let number = |(offset, envelope): &(Offset, Envelope)| {
        let number: u64 = envelope.data.read().unwrap();
        assert_eq!(offset.seq, number);
        number
    };
    events.iter().map(number).collect()
}
