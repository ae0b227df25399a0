//! Convergence: after any sequence of changes and reconnects the server has exactly the desired subscriptions.

mod handover;

use std::collections::HashSet;

use fred::error::{Error, ErrorKind};
use proptest::prelude::*;

use super::{Batch, BatchResult, Channel, Registry};

/// Server model: applies batches, and drops all subscriptions when its connection breaks.
#[derive(Default)]
struct Server {
    subscribed: HashSet<Channel>,
}

impl Server {
    fn apply(&mut self, batch: &Batch) -> BatchResult {
        for channel in &batch.unsubscribe {
            self.subscribed.remove(channel);
        }
        self.subscribed.extend(batch.subscribe.iter().cloned());
        BatchResult {
            unsubscribed: true,
            confirmed: batch.subscribe.clone(),
            ..BatchResult::default()
        }
    }
}

#[derive(Debug, Clone)]
enum Action {
    Subscribe(u8),
    Unsubscribe(u8),
    Begin,
    Carry,
    Fail,
    Settle,
    Break,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (0u8..6).prop_map(Action::Subscribe),
        4 => (0u8..6).prop_map(Action::Unsubscribe),
        3 => Just(Action::Begin),
        3 => Just(Action::Carry),
        1 => Just(Action::Fail),
        3 => Just(Action::Settle),
        1 => Just(Action::Break),
    ]
}

/// Batch in flight with its result.
struct InFlight {
    batch: Batch,
    done: Option<BatchResult>,
}

proptest! {
    #[test]
    fn server_converges_to_the_desired_subscriptions(actions in prop::collection::vec(action(), 0..80)) {
        let (registry, mut server) = (Registry::default(), Server::default());
        let mut wanted = HashSet::new();
        let mut in_flight: Option<InFlight> = None;
        for action in actions {
            match action {
                Action::Subscribe(number) => {
                    wanted.insert(channel(number));
                    drop(registry.subscribe(channel(number)));
                }
                Action::Unsubscribe(number) => {
                    wanted.remove(&channel(number));
                    registry.unsubscribe(&channel(number));
                }
                Action::Begin if in_flight.is_none() => {
                    in_flight = registry.next_batch(2).map(|batch| InFlight { batch, done: None });
                }
                Action::Carry => {
                    if let Some(InFlight { batch, done: done @ None }) = &mut in_flight {
                        *done = Some(server.apply(batch));
                    }
                }
                // The server may have applied it; the reply is lost.
                Action::Fail => {
                    if let Some(InFlight { batch, done }) = &mut in_flight {
                        server.apply(batch);
                        *done = Some(BatchResult::default());
                    }
                }
                Action::Settle if in_flight.as_ref().is_some_and(|it| it.done.is_some()) => {
                    if let Some(InFlight { batch, done: Some(done) }) = in_flight.take() {
                        registry.settle(batch, &done);
                    }
                }
                Action::Break => {
                    server.subscribed.clear();
                    registry.restart();
                    // The batch in flight fails, or was applied on the new connection.
                    if let Some(InFlight { done, .. }) = &mut in_flight {
                        done.get_or_insert_default();
                    }
                }
                Action::Begin | Action::Settle => {}
            }
        }
        if let Some(InFlight { batch, done }) = in_flight {
            let done = done.unwrap_or_else(|| server.apply(&batch));
            registry.settle(batch, &done);
        }
        while let Some(batch) = registry.next_batch(2) {
            let done = server.apply(&batch);
            registry.settle(batch, &done);
        }
        prop_assert!(registry.is_settled());
        prop_assert_eq!(registry.subscribed(), wanted.len());
        prop_assert_eq!(server.subscribed, wanted);
    }
}

#[test]
fn subscribe_resolves_only_after_the_server_confirmed() {
    let registry = Registry::default();
    let mut confirmed = registry.subscribe(channel(1)).unwrap();
    let batch = registry.next_batch(9).unwrap();
    assert!(confirmed.try_recv().is_err());
    let done = Server::default().apply(&batch);
    assert!(registry.settle(batch, &done).is_empty());
    assert!(confirmed.try_recv().is_ok());
    assert!(registry.subscribe(channel(1)).is_none(), "subscribed already");
}

#[test]
fn refusal_resolves_the_waiter_and_the_channel_is_retried() {
    let registry = Registry::default();
    let mut outcome = registry.subscribe(channel(1)).unwrap();
    let batch = registry.next_batch(9).unwrap();
    let refusal = Error::new(ErrorKind::Unknown, "NOPERM No permissions to access a channel");
    let done = BatchResult {
        unsubscribed: true,
        refused: vec![(channel(1), refusal.clone())],
        ..BatchResult::default()
    };
    assert!(registry.settle(batch, &done).is_empty());
    assert_eq!(outcome.try_recv().unwrap(), Err(refusal));
    assert_eq!(registry.next_batch(9).unwrap().subscribe, [channel(1)]);
}

#[test]
fn confirmation_from_an_earlier_connection_does_not_count() {
    let registry = Registry::default();
    let mut confirmed = registry.subscribe(channel(1)).unwrap();
    let batch = registry.next_batch(9).unwrap();
    registry.restart();
    let done = Server::default().apply(&batch);
    registry.settle(batch, &done);
    assert!(confirmed.try_recv().is_err());
    assert!(registry.next_batch(9).is_some(), "resubscribed");
}

#[test]
fn confirmation_after_the_waiter_left_is_late() {
    let registry = Registry::default();
    let _waiting = registry.subscribe(channel(1));
    drop(registry.subscribe(channel(2)));
    let batch = registry.next_batch(9).unwrap();
    let done = Server::default().apply(&batch);
    assert_eq!(registry.settle(batch, &done), [channel(2)]);
}

#[test]
fn new_subscription_precedes_restored_ones() {
    let registry = Registry::default();
    for number in 0..100 {
        drop(registry.subscribe(channel(number)));
    }
    registry.restart();
    drop(registry.subscribe(channel(200)));
    assert_eq!(registry.next_batch(1).unwrap().subscribe, [channel(200)]);
}

fn channel(number: u8) -> Channel {
    Channel::from(format!("c{number}"))
}
