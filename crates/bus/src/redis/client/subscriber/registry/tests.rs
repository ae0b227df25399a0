//! Whatever is wished for while a connection is renewed: in the end the server holds what is wanted, and nothing else.

use std::collections::HashSet;

use fred::error::{Error, ErrorKind};
use proptest::prelude::*;

use super::{Batch, Channel, Done, Registry};

/// A server that does what it is told, and forgets when its connection breaks.
#[derive(Default)]
struct Server {
    held: HashSet<Channel>,
}

impl Server {
    fn apply(&mut self, batch: &Batch) -> Done {
        for channel in &batch.give_up {
            self.held.remove(channel);
        }
        self.held.extend(batch.take_up.iter().cloned());
        Done {
            gave_up: true,
            confirmed: batch.take_up.clone(),
            refused: Vec::new(),
        }
    }
}

#[derive(Debug, Clone)]
enum Act {
    Want(u8),
    Unwant(u8),
    Begin,
    Carry,
    Fail,
    Settle,
    Break,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0u8..6).prop_map(Act::Want),
        4 => (0u8..6).prop_map(Act::Unwant),
        3 => Just(Act::Begin),
        3 => Just(Act::Carry),
        1 => Just(Act::Fail),
        3 => Just(Act::Settle),
        1 => Just(Act::Break),
    ]
}

/// A batch under way, and what became of it.
struct UnderWay {
    batch: Batch,
    done: Option<Done>,
}

proptest! {
    #[test]
    fn in_the_end_the_server_holds_what_is_wanted(acts in prop::collection::vec(act(), 0..80)) {
        let (registry, mut server) = (Registry::default(), Server::default());
        let mut wanted = HashSet::new();
        let mut under_way: Option<UnderWay> = None;
        for act in acts {
            match act {
                Act::Want(number) => {
                    wanted.insert(channel(number));
                    drop(registry.want(channel(number)));
                }
                Act::Unwant(number) => {
                    wanted.remove(&channel(number));
                    registry.unwant(&channel(number));
                }
                Act::Begin if under_way.is_none() => {
                    under_way = registry.next_batch(2).map(|batch| UnderWay { batch, done: None });
                }
                Act::Carry => {
                    if let Some(UnderWay { batch, done: done @ None }) = &mut under_way {
                        *done = Some(server.apply(batch));
                    }
                }
                // The server may have done it, the answer is lost.
                Act::Fail => {
                    if let Some(UnderWay { batch, done }) = &mut under_way {
                        server.apply(batch);
                        *done = Some(Done::default());
                    }
                }
                Act::Settle if under_way.as_ref().is_some_and(|it| it.done.is_some()) => {
                    if let Some(UnderWay { batch, done: Some(done) }) = under_way.take() {
                        registry.settle(batch, &done);
                    }
                }
                Act::Break => {
                    server.held.clear();
                    registry.lost();
                    // What was under way fails, or was done on the new connection.
                    if let Some(UnderWay { done, .. }) = &mut under_way {
                        done.get_or_insert_default();
                    }
                }
                Act::Begin | Act::Settle => {}
            }
        }
        if let Some(UnderWay { batch, done }) = under_way {
            let done = done.unwrap_or_else(|| server.apply(&batch));
            registry.settle(batch, &done);
        }
        while let Some(batch) = registry.next_batch(2) {
            let done = server.apply(&batch);
            registry.settle(batch, &done);
        }
        prop_assert!(registry.is_settled());
        prop_assert_eq!(server.held, wanted);
    }
}

#[test]
fn who_waits_is_told_when_the_server_has_confirmed_and_not_before() {
    let registry = Registry::default();
    let mut confirmed = registry.want(channel(1)).unwrap();
    let batch = registry.next_batch(9).unwrap();
    assert!(confirmed.try_recv().is_err());
    let done = Server::default().apply(&batch);
    assert!(!registry.settle(batch, &done));
    assert!(confirmed.try_recv().is_ok());
    assert!(registry.want(channel(1)).is_none(), "once is enough");
}

#[test]
fn a_refusal_reaches_whoever_waits_and_the_channel_is_tried_again() {
    let registry = Registry::default();
    let mut outcome = registry.want(channel(1)).unwrap();
    let batch = registry.next_batch(9).unwrap();
    let refusal = Error::new(ErrorKind::Unknown, "NOPERM No permissions to access a channel");
    let done = Done {
        gave_up: true,
        refused: vec![(channel(1), refusal.clone())],
        ..Done::default()
    };
    assert!(!registry.settle(batch, &done));
    assert_eq!(outcome.try_recv().unwrap(), Err(refusal));
    assert_eq!(registry.next_batch(9).unwrap().take_up, [channel(1)]);
}

#[test]
fn a_confirmation_from_a_connection_that_is_gone_does_not_count() {
    let registry = Registry::default();
    let mut confirmed = registry.want(channel(1)).unwrap();
    let batch = registry.next_batch(9).unwrap();
    registry.lost();
    let done = Server::default().apply(&batch);
    registry.settle(batch, &done);
    assert!(confirmed.try_recv().is_err());
    assert!(registry.next_batch(9).is_some(), "it is taken up again");
}

#[test]
fn a_confirmation_after_the_wait_was_given_up_is_late() {
    let registry = Registry::default();
    drop(registry.want(channel(1)));
    let batch = registry.next_batch(9).unwrap();
    let done = Server::default().apply(&batch);
    assert!(registry.settle(batch, &done));
}

#[test]
fn who_is_new_is_not_behind_those_that_are_renewed() {
    let registry = Registry::default();
    for number in 0..100 {
        drop(registry.want(channel(number)));
    }
    registry.lost();
    drop(registry.want(channel(200)));
    assert_eq!(registry.next_batch(1).unwrap().take_up, [channel(200)]);
}

fn channel(number: u8) -> Channel {
    Channel::from(format!("c{number}"))
}
