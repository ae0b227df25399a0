//! `account:disconnect`.

use std::time::Duration;

use protocol::command::CommandKind;
use protocol::id::WorkerId;
use serde_json::json;
use simulator::{Extent, Fault, Kind, Limit, Platform, Route};
use store::TaskQueue;
use testkit::wait;

use crate::client::{DEADLINE, refused, succeeded};
use crate::simulated::{linked, platform, simulator};
use crate::world::{World, capacity_for, status, with_github};

#[tokio::test]
async fn a_disconnected_account_is_gone_here_and_its_grant_at_the_platform() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        succeeded(&client.connect("test_code_ada").await);
        let answer = client.for_github(CommandKind::Disconnect).await;
        succeeded(&answer);
        assert_eq!(answer["accountType"], "github");
        assert_eq!(client.status().await.0, "connected");
        assert_eq!(client.status().await.0, "disconnected");
        assert_eq!(github.revocations(1).await, [(Extent::Grant, Some("ada".to_owned()))]);
        assert_eq!(client.ask(CommandKind::List, json!({})).await["accounts"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn the_platform_account_of_two_users_stays_linked_to_the_other() {
    with_github(async |mut world, github| {
        world.settings.dangerous_repeatable_codes = Some("test_code_".to_owned());
        let _worker = world.worker().await;
        let mut one = world.client("u", "s").await;
        let mut other = world.client("v", "s").await;
        succeeded(&one.connect("test_code_ada").await);
        succeeded(&other.connect("test_code_ada").await);
        succeeded(&one.for_github(CommandKind::Disconnect).await);
        assert_eq!(github.revocations(1).await, [(Extent::Token, Some("ada".to_owned()))]);
        succeeded(&other.for_github(CommandKind::Sync).await);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_connected_cannot_be_disconnected() {
    with_github(async |world, _| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let answer = client.for_github(CommandKind::Disconnect).await;
        refused(&answer, "not_connected");
        assert_eq!(answer["accountType"], "github");
    })
    .await;
}

/// The next look into the queue would come a second after the last one. The test below has the looks alone: nobody is woken then.
#[tokio::test(start_paused = true)]
async fn a_grant_is_given_back_at_once_by_the_worker_that_queued_it() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    succeeded(&client.connect("any").await);
    let looks = world.store.leases();
    wait::until_true("a look into the queue", DEADLINE, async || world.store.leases() > looks).await;
    let begun = tokio::time::Instant::now();
    succeeded(&client.for_github(CommandKind::Disconnect).await);
    world
        .counted("postern_worker_revocations_total", &["outcome=\"done\""], 1)
        .await;
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_grant_that_the_platform_did_not_take_back_is_offered_again() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        succeeded(&client.connect("test_code_ada").await);
        github.fault(Route::Revoke, status(503));
        succeeded(&client.for_github(CommandKind::Disconnect).await);

        let tried_again = async || {
            world.clock.advance(Duration::from_secs(60));
            github.requests(Route::Revoke) >= 2
        };
        wait::until_true("the second try", DEADLINE, tried_again).await;
        assert_eq!(github.revocations(1).await, [(Extent::Grant, Some("ada".to_owned()))]);
    })
    .await;
}

#[tokio::test]
async fn a_platform_that_asks_to_wait_is_given_the_time() {
    with_github(async |world, github| {
        let worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        succeeded(&client.connect("test_code_ada").await);
        let wait = Kind::Throttle {
            limit: Limit::Secondary,
            seconds: 7_200,
        };
        github.fault(Route::Revoke, wait);
        succeeded(&client.for_github(CommandKind::Disconnect).await);
        wait::until_true("the first try", DEADLINE, async || github.requests(Route::Revoke) == 1).await;
        assert!(worker.drain(DEADLINE).await.is_clean());

        let other = WorkerId::new("other").unwrap();
        let due = async || {
            world
                .store
                .lease_tasks(&other, &capacity_for(1), DEADLINE)
                .await
                .unwrap()
                .len()
        };
        world.clock.advance(Duration::from_secs(7_199));
        assert_eq!(due().await, 0);
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(due().await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_grant_that_the_platform_never_takes_back_is_given_up_and_counted() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        succeeded(&client.connect("test_code_ada").await);
        github.fault_forever(Route::Revoke, status(503));
        succeeded(&client.for_github(CommandKind::Disconnect).await);
        for tries in 1..8 {
            let retried = ["platform=\"github\"", "outcome=\"retried\""];
            world.counted("postern_worker_revocations_total", &retried, tries).await;
            world.clock.advance(Duration::from_secs(60 * 60));
        }
        let dead = ["platform=\"github\"", "outcome=\"dead\""];
        world.counted("postern_worker_revocations_total", &dead, 1).await;
        assert_eq!(github.requests(Route::Revoke), 8);
    })
    .await;
}

/// A refresh that is under way has spent the tokens that are there, and brings others.
#[tokio::test]
async fn a_link_is_ended_with_the_tokens_that_a_refresh_is_about_to_bring() {
    let (handle, _serving) = simulator().await;
    let world = World::new(vec![platform(handle.url(), Platform::Discord)]);
    let _worker = world.worker().await;
    let mut client = linked(&world, Platform::Discord, "ada").await;
    handle.expire(Platform::Discord, "ada");
    handle.fault(Fault::once(Platform::Discord, Route::Token, Kind::AwaitRelease));
    let account = json!({"accountType": "discord"});
    let sync = client.job(CommandKind::Sync, account.clone());
    client.submit(&sync).await;
    let is_held = async || !handle.snapshot().blocked.is_empty();
    wait::until_true("a refresh under way", DEADLINE, is_held).await;
    let disconnect = client.job(CommandKind::Disconnect, account);
    client.submit(&disconnect).await;
    let waits = world.store.busy_turns();
    wait::until_true("the disconnect to wait", DEADLINE, async || {
        world.store.busy_turns() > waits
    })
    .await;
    handle.release();
    succeeded(&client.answer(&disconnect).await);
    client.answer(&sync).await;
    wait::until_true("the grant to be given back", DEADLINE, async || {
        handle.snapshot().tokens.is_empty()
    })
    .await;
    world
        .counted("postern_worker_revocations_total", &["outcome=\"done\""], 1)
        .await;
    let given_back = handle.snapshot().ledger.revocations;
    assert!(
        matches!(&given_back[..], [first, second] if first.login.as_deref() == Some("ada") && second.login.is_none()),
        "{given_back:?}"
    );
}
