//! Channels follow their slots.

use super::super::registry::BatchResult;
use super::*;
use crate::redis::client::slots::slot_of;

#[test]
fn channels_of_a_moved_slot_are_subscribed_at_the_new_owner_with_those_who_wait() {
    let (shards, end) = (shards(), CancellationToken::new());
    let [old] = apply(&shards, "a", &end);
    drop(shards.subscribe(channel(1)));
    confirm_all(&old);
    let mut waiting = shards.subscribe(channel(2)).unwrap();
    let [new] = apply(&shards, "b", &end);
    assert!(old.end().is_cancelled() && !new.end().is_cancelled());
    assert!(!old.registry.accepts(&channel(1)), "received before, read after");

    let (subscribed, doubtful) = confirm_all(&new);
    assert_eq!(subscribed.first(), Some(&channel(2)), "someone waits for it");
    assert!(subscribed.contains(&channel(1)) && subscribed.contains(&new.probe()));
    assert_eq!(doubtful, [channel(1)]);
    assert_eq!(waiting.try_recv().unwrap(), Ok(()));
    assert_eq!(subscribed.len(), 3, "no probe of the old owner");
    end.cancel();
    assert!(new.end().is_cancelled());
}

#[test]
fn channel_of_a_slot_without_owner_waits_for_one() {
    let (shards, end) = (shards(), CancellationToken::new());
    let mut waiting = shards.subscribe(channel(1)).unwrap();
    drop(shards.subscribe(channel(2)));
    shards.unsubscribe(&channel(2));
    assert!(waiting.try_recv().is_err());
    let [first] = apply(&shards, "a", &end);
    first.record(true, Duration::ZERO);
    assert!(shards.is_complete());
    let (subscribed, _) = confirm_all(&first);
    assert_eq!(subscribed, [channel(1), first.probe()]);
    assert_eq!(waiting.try_recv().unwrap(), Ok(()));

    assert!(shards.apply(Arc::default(), &end).is_empty());
    assert!(!shards.is_complete(), "a desired channel has no server");
}

#[test]
fn shards_are_live_with_the_first_complete_together_and_silent_as_the_longest() {
    let (shards, end) = (shards(), CancellationToken::new());
    assert!(!shards.is_live(), "no server");
    let halves = vec![(0..=8_000, server("a")), (8_001..=16_383, server("b"))];
    let halves = Arc::new(SlotMap::new(halves, Vec::new()).unwrap());
    let [a, b] = <[_; 2]>::try_from(shards.apply(halves, &end)).unwrap();
    assert!(!shards.is_live(), "no message yet");
    a.record(true, Duration::from_secs(1));
    assert!(shards.is_live());
    assert!(!shards.is_complete());
    b.record(true, Duration::from_secs(2));
    assert!(shards.is_complete());
    assert_eq!(shards.silence(), Duration::from_secs(2));
}

#[test]
fn probe_stays_in_the_slots_of_its_server_and_other_channels_stay_where_they_are() {
    let (shards, end) = (shards(), CancellationToken::new());
    let [a] = apply(&shards, "a", &end);
    for number in 0..100 {
        drop(shards.subscribe(channel(number)));
    }
    confirm_all(&a);
    let before = a.probe();
    // All slots but those of the last channel go to another server.
    let kept = slot_of(&channel(99));
    assert_ne!(slot_of(&before), kept);
    let owned = vec![
        (0..=kept - 1, server("b")),
        (kept..=kept, server("a")),
        (kept + 1..=16_383, server("b")),
    ];
    let map = Arc::new(SlotMap::new(owned, Vec::new()).unwrap());
    let [b] = <[_; 1]>::try_from(shards.apply(Arc::clone(&map), &end)).unwrap();
    assert_eq!(map.owner_of(&a.probe()), Some(&server("a")));
    assert_ne!(a.probe(), before);
    let (at_a, doubtful_at_a) = confirm_all(&a);
    assert_eq!(
        (at_a, doubtful_at_a),
        (vec![a.probe()], Vec::new()),
        "the rest is subscribed"
    );
    let (at_b, doubtful) = confirm_all(&b);
    assert_eq!((at_b.len(), doubtful.len()), (100, 99));
    assert!(!at_b.contains(&before));
}

fn shards() -> Shards {
    Shards::new(Box::new(|number| format!("pn:{{probe:{number}}}")))
}

/// Applies a map of one server. Returns the shards that are new.
fn apply<const N: usize>(shards: &Shards, owner: &str, end: &CancellationToken) -> [Arc<Shard>; N] {
    let map = Arc::new(SlotMap::of_one(server(owner)));
    let new = shards.apply(map, end);
    new.try_into().unwrap()
}

/// Has a server confirm all channels. Returns them, and the doubtful ones among them.
fn confirm_all(shard: &Shard) -> (Vec<Channel>, Vec<Channel>) {
    let (mut subscribed, mut doubtful) = (Vec::new(), Vec::new());
    while let Some(batch) = shard.registry.next_batch(512) {
        subscribed.extend(batch.subscribe.iter().cloned());
        let done = BatchResult {
            unsubscribed: true,
            confirmed: batch.subscribe.clone(),
            ..BatchResult::default()
        };
        doubtful.extend(shard.registry.settle(batch, &done));
    }
    doubtful.retain(|channel| *channel != shard.probe());
    (subscribed, doubtful)
}

fn channel(number: u8) -> Channel {
    Channel::from(format!("pn:{{user-{number}}}:ev"))
}

fn server(host: &str) -> Endpoint {
    Endpoint {
        host: host.to_owned(),
        port: 6379,
    }
}
