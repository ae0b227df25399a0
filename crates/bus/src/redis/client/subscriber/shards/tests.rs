//! Channels follow their slots.

use super::super::registry::BatchResult;
use super::*;

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
    assert!(shards.is_live());
    let (subscribed, _) = confirm_all(&first);
    assert_eq!(subscribed, [channel(1), first.probe()]);
    assert_eq!(waiting.try_recv().unwrap(), Ok(()));

    assert!(shards.apply(Arc::default(), &end).is_empty());
    assert!(!shards.is_live(), "a desired channel has no server");
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
