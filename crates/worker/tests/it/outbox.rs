//! Committed events reach the bus, in their order, whatever happens to it meanwhile.

use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::command::CommandKind;

use crate::client::{connect, succeeded};
use crate::world::{World, with_github};

#[tokio::test]
async fn events_that_the_bus_refused_come_later_in_their_order() {
    with_github(async |world, _| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        world.bus.refuses_events.store(true, Ordering::SeqCst);
        succeeded(&client.connect("test_code_ada").await);
        succeeded(&client.for_github(CommandKind::Sync).await);
        succeeded(&client.for_github(CommandKind::Disconnect).await);
        client.assert_no_event();

        world.bus.refuses_events.store(false, Ordering::SeqCst);
        world.clock.advance(Duration::from_secs(2));
        for expected in ["connected", "syncing", "connected", "disconnected"] {
            assert_eq!(client.status().await.0, expected);
        }
    })
    .await;
}

/// The other half of the test above: there the sweep is alone.
#[tokio::test(start_paused = true)]
async fn events_are_published_by_whoever_committed_them_while_no_sweep_works() {
    let world = World::scripted();
    let _worker = world.worker().await;
    world.store.refuses_sweeps.store(true, Ordering::SeqCst);
    let mut client = world.client("u", "s").await;
    succeeded(&client.ask(CommandKind::Connect, connect("any")).await);
    assert_eq!(client.status().await.0, "connected");
    succeeded(&client.for_github(CommandKind::Disconnect).await);
    assert_eq!(client.status().await.0, "disconnected");
}

#[tokio::test(start_paused = true)]
async fn what_was_told_lately_is_told_again_to_a_bus_that_has_lost_its_memory() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    succeeded(&client.ask(CommandKind::Connect, connect("any")).await);
    assert_eq!(client.status().await.0, "connected");
    // Long enough for the worker to have seen the first life of the bus.
    tokio::time::sleep(Duration::from_secs(10)).await;

    world.bus.forget();
    let mut client = world.client("u", "s").await;
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(client.status().await.0, "connected");
    tokio::time::sleep(Duration::from_secs(60)).await;
    client.assert_no_event();
}
