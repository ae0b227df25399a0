//! Bus or store away: what is refused meanwhile, and that it works again after.

use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::command::CommandKind;
use serde_json::json;

use crate::client::{DEADLINE, refused, succeeded};
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn a_worker_is_ready_once_its_lanes_and_its_store_have_answered() {
    let world = World::scripted();
    world.bus.refuses_claims.store(true, Ordering::SeqCst);
    world.store.is_away.store(true, Ordering::SeqCst);
    let worker = world.build();
    let readiness = worker.readiness();
    let _running = worker.spawn();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(
        readiness.waiting_for(),
        [
            "sign-in lane",
            "interactive lane",
            "platform lane",
            "webhook lane",
            "store"
        ]
    );

    world.bus.refuses_claims.store(false, Ordering::SeqCst);
    world.store.is_away.store(false, Ordering::SeqCst);
    tokio::time::timeout(DEADLINE, readiness.ready()).await.unwrap();
    let mut client = world.client("u", "s").await;
    succeeded(&client.ask(CommandKind::List, json!({})).await);

    // And not while the store is away later.
    world.store.is_away.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(readiness.waiting_for(), ["store"]);
    world.store.is_away.store(false, Ordering::SeqCst);
    tokio::time::timeout(DEADLINE, readiness.ready()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_the_store_commands_are_unavailable_and_work_again_after() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    world.store.is_away.store(true, Ordering::SeqCst);
    refused(&client.connect("any").await, "unavailable");
    world.store.is_away.store(false, Ordering::SeqCst);
    succeeded(&client.connect("any").await);
}

#[tokio::test(start_paused = true)]
async fn a_link_outlives_a_store_that_is_away_for_a_moment() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    world.store.refused_links.store(3, Ordering::SeqCst);
    succeeded(&client.connect("any").await);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_cannot_be_stored_is_unavailable_in_time_to_say_so() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    world.store.refused_links.store(u64::MAX, Ordering::SeqCst);
    let begun = tokio::time::Instant::now();
    refused(&client.connect("any").await, "unavailable");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn what_is_past_its_time_is_forgotten() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    succeeded(&client.connect("any").await);
    refused(&client.connect("any").await, "oauth_failed");

    world.clock.advance(Duration::from_secs(25 * 60 * 60));
    tokio::time::sleep(Duration::from_secs(61)).await;
    succeeded(&client.connect("any").await);
}
