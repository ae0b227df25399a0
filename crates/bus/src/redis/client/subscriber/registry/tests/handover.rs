//! Handover: after any sequence of changes and moves the owner of the channels has exactly the desired subscriptions.

use std::time::Duration;

use tokio::time::Instant;

use super::*;

/// Two servers, each with its registry and batch in flight.
#[derive(Default)]
struct Pair {
    sides: [Side; 2],
    /// Index of the server that owns the slot of all channels.
    owner: usize,
}

#[derive(Default)]
struct Side {
    registry: Registry,
    server: Server,
    in_flight: Option<InFlight>,
}

#[derive(Debug, Clone)]
enum Step {
    Subscribe(u8),
    Unsubscribe(u8),
    Begin(usize),
    Carry(usize),
    Settle(usize),
    Move,
    Heartbeat(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..6).prop_map(Step::Subscribe),
        3 => (0u8..6).prop_map(Step::Unsubscribe),
        3 => (0usize..2).prop_map(Step::Begin),
        3 => (0usize..2).prop_map(Step::Carry),
        3 => (0usize..2).prop_map(Step::Settle),
        2 => Just(Step::Move),
        1 => (0usize..2).prop_map(Step::Heartbeat),
    ]
}

impl Pair {
    fn run(&mut self, step: &Step, now: Instant) {
        match *step {
            Step::Subscribe(number) => drop(self.sides[self.owner].registry.subscribe(channel(number))),
            Step::Unsubscribe(number) => self.sides[self.owner].registry.unsubscribe(&channel(number)),
            Step::Begin(side) => {
                let side = &mut self.sides[side];
                if side.in_flight.is_none() {
                    let batch = side.registry.next_batch(2);
                    side.in_flight = batch.map(|batch| InFlight { batch, done: None });
                }
            }
            Step::Carry(side) => self.carry(side),
            Step::Settle(side) => {
                let side = &mut self.sides[side];
                if let Some(InFlight {
                    batch,
                    done: Some(done),
                }) = side.in_flight.take_if(|it| it.done.is_some())
                {
                    side.registry.settle(batch, &done);
                }
            }
            Step::Move => {
                let (from, to) = (self.owner, 1 - self.owner);
                // The server ends the subscriptions by itself.
                self.sides[from].server.subscribed.clear();
                for departed in self.sides[from].registry.depart(now, |_| true) {
                    self.sides[to].registry.adopt(departed);
                }
                self.owner = to;
            }
            Step::Heartbeat(side) => {
                let side = &self.sides[side];
                side.registry.retry_moved();
                side.registry.relax(now, side.in_flight.is_none());
            }
        }
    }

    /// Has a server answer the batch in flight. One that does not own the slot refuses it.
    fn carry(&mut self, index: usize) {
        let is_owner = index == self.owner;
        let side = &mut self.sides[index];
        if let Some(InFlight {
            batch,
            done: done @ None,
        }) = &mut side.in_flight
        {
            *done = Some(if is_owner {
                side.server.apply(batch)
            } else {
                BatchResult {
                    unsubscribed: true,
                    moved: batch.subscribe.clone(),
                    ..BatchResult::default()
                }
            });
        }
    }
}

proptest! {
    #[test]
    fn owner_converges_to_the_desired_subscriptions(steps in prop::collection::vec(step(), 0..80)) {
        let (mut pair, mut wanted, mut now) = (Pair::default(), HashSet::new(), Instant::now());
        for step in &steps {
            match step {
                Step::Subscribe(number) => {
                    wanted.insert(channel(*number));
                }
                Step::Unsubscribe(number) => {
                    wanted.remove(&channel(*number));
                }
                _ => {}
            }
            now += Duration::from_millis(300);
            pair.run(step, now);
        }
        for _ in 0..20 {
            for side in 0..2 {
                for step in [Step::Carry(side), Step::Settle(side), Step::Heartbeat(side), Step::Begin(side)] {
                    pair.run(&step, now);
                }
            }
        }
        let (owner, other) = (&pair.sides[pair.owner], &pair.sides[1 - pair.owner]);
        prop_assert!(owner.registry.is_settled() && other.registry.is_settled());
        prop_assert_eq!(&owner.server.subscribed, &wanted);
        prop_assert_eq!((owner.registry.subscribed(), other.registry.subscribed()), (wanted.len(), 0));
        prop_assert!(other.registry.is_empty());
        prop_assert!(wanted.iter().all(|channel| owner.registry.accepts(channel)), "all are reported");
    }
}

#[test]
fn moved_channel_keeps_its_waiter_and_is_not_doubtful() {
    let (old, new) = (Registry::default(), Registry::default());
    let mut confirmed = old.subscribe(channel(1)).unwrap();
    let batch = old.next_batch(9).unwrap();
    let refused = BatchResult {
        moved: batch.subscribe.clone(),
        ..BatchResult::default()
    };
    old.settle(batch, &refused);
    assert!(confirmed.try_recv().is_err() && old.is_settled(), "the waiter waits on");
    for departed in old.depart(Instant::now(), |_| true) {
        new.adopt(departed);
    }
    assert_eq!(
        settle_all(&new),
        Vec::<Channel>::new(),
        "no caller was notified that the channel is subscribed"
    );
    assert_eq!(confirmed.try_recv().unwrap(), Ok(()));
}

#[test]
fn subscription_that_is_confirmed_after_its_channel_left_is_ended() {
    let registry = Registry::default();
    drop(registry.subscribe(channel(1)));
    let batch = registry.next_batch(9).unwrap();
    registry.depart(Instant::now(), |_| true);
    // The slot is back before the server has replied.
    let done = Server::default().apply(&batch);
    registry.settle(batch, &done);
    assert_eq!(registry.subscribed(), 0);
    assert_eq!(registry.next_batch(9).unwrap().unsubscribe, [channel(1)]);
}

#[test]
fn subscribed_channel_is_doubtful_after_its_move_until_it_is_confirmed() {
    let (old, new) = (Registry::default(), Registry::default());
    for number in 1..=2 {
        drop(old.subscribe(channel(number)));
    }
    settle_all(&old);
    assert!(old.accepts(&channel(1)));
    for departed in old.depart(Instant::now(), |name| *name == *channel(1)) {
        new.adopt(departed);
    }
    assert!(
        !old.accepts(&channel(1)) && !new.accepts(&channel(1)),
        "its messages may follow a gap"
    );
    assert!(old.accepts(&channel(2)));
    assert_eq!(old.subscribed(), 1);
    assert_eq!(settle_all(&new), [channel(1)]);
    assert!(new.accepts(&channel(1)));
    assert_eq!(settle_all(&new), Vec::<Channel>::new());
}

#[test]
fn refusal_of_a_moved_channel_is_repeated_only_at_the_next_heartbeat() {
    let registry = Registry::default();
    let _waiting = registry.subscribe(channel(1));
    let batch = registry.next_batch(9).unwrap();
    let refused = BatchResult {
        moved: batch.subscribe.clone(),
        ..BatchResult::default()
    };
    registry.settle(batch, &refused);
    assert!(registry.next_batch(9).is_none());
    registry.retry_moved();
    assert_eq!(registry.next_batch(9).unwrap().subscribe, [channel(1)]);
}

#[test]
fn messages_of_departed_channels_are_accepted_again_only_after_a_second_without_a_batch() {
    let registry = Registry::default();
    drop(registry.subscribe(channel(1)));
    settle_all(&registry);
    let now = Instant::now();
    registry.depart(now, |_| true);
    for (after, is_idle, accepted) in [(500, true, false), (1_500, false, false), (1_500, true, true)] {
        registry.relax(now + Duration::from_millis(after), is_idle);
        assert_eq!(registry.accepts(&channel(1)), accepted, "{after} ms, idle: {is_idle}");
    }
}

/// Has a server confirm all channels. Returns the doubtful ones.
fn settle_all(registry: &Registry) -> Vec<Channel> {
    let mut doubtful = Vec::new();
    while let Some(batch) = registry.next_batch(9) {
        let done = Server::default().apply(&batch);
        doubtful.extend(registry.settle(batch, &done));
    }
    doubtful
}
