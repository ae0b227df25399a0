//! What a platform has issued and nobody holds is given back, whatever went wrong after the exchange.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::command::CommandKind;
use serde_json::{Value, json};
use simulator::{Extent, Fault, Kind, Limit, Platform as At, Route};
use testkit::wait;

use crate::callback::{HOSTED, call_back, come_back, host};
use crate::client::{Client, DEADLINE, connect, refused, succeeded};
use crate::scripted::Scripted;
use crate::simulated::{code, platform, simulator};
use crate::world::{AtSimulator, World, status, with_github};

/// Waits until all that was issued has ended.
async fn given_back(github: &AtSimulator, world: &World) {
    assert!(!github.logins_with_tokens().is_empty() || !github.given_back().is_empty());
    // By then no job could link it any more.
    world.clock.advance(Duration::from_mins(1));
    let ended = async || github.logins_with_tokens().is_empty();
    wait::until_true("what was issued to end", DEADLINE, ended).await;
    let extents: Vec<_> = github.given_back().into_iter().map(|(extent, _)| extent).collect();
    assert_eq!(extents, [Extent::Token], "it is given back once");
}

/// Has a client connect in a world where something is wrong: it is answered this error, nothing is linked, and what was issued ends.
async fn connected_where(wrong: impl FnOnce(&World, &AtSimulator), error: &str) {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        wrong(&world, &github);
        refused(&client.connect("test_code_ada").await, error);
        given_back(&github, &world).await;
        let listed = client.ask(CommandKind::List, json!({})).await;
        assert_eq!(listed["accounts"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_grant_whose_owner_the_platform_does_not_say_is_given_back_though_that_is_not_recorded() {
    let wrong = |world: &World, github: &AtSimulator| {
        github.fault(Route::Profile, status(503));
        github.fault(Route::Profile, status(503));
        world.store.refused_refusals.store(1, Ordering::SeqCst);
    };
    connected_where(wrong, "platform_unavailable").await;
}

#[tokio::test]
async fn a_grant_whose_owner_may_not_be_asked_for_now_is_given_back() {
    let wrong = |_: &World, github: &AtSimulator| {
        let throttle = Kind::Throttle {
            limit: Limit::Secondary,
            seconds: 7,
        };
        github.fault(Route::Profile, throttle);
    };
    connected_where(wrong, "platform_rate_limited").await;
}

#[tokio::test]
async fn a_grant_that_the_platform_takes_back_at_once_ends_the_connect() {
    let wrong = |_: &World, github: &AtSimulator| github.fault(Route::Profile, status(401));
    connected_where(wrong, "oauth_failed").await;
}

#[tokio::test]
async fn a_link_that_the_database_refuses_is_given_back() {
    let wrong = |world: &World, _: &AtSimulator| world.store.broken_links.store(1, Ordering::SeqCst);
    connected_where(wrong, "internal").await;
}

#[tokio::test]
async fn a_link_that_cannot_be_stored_in_time_is_given_back() {
    let wrong = |world: &World, _: &AtSimulator| world.store.refused_links.store(u64::MAX, Ordering::SeqCst);
    connected_where(wrong, "unavailable").await;
}

#[tokio::test]
async fn a_grant_is_not_linked_before_its_revocation_is_queued_and_is_given_back_once_the_store_is_there() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        world.store.refused_provisionals.store(u64::MAX, Ordering::SeqCst);
        world.store.refused_refusals.store(u64::MAX, Ordering::SeqCst);
        refused(&client.connect("test_code_ada").await, "unavailable");
        assert_eq!(github.logins_with_tokens(), ["ada"]);
        world.store.refused_provisionals.store(0, Ordering::SeqCst);
        wait::until_true("what was issued to end", DEADLINE, async || {
            world.clock.advance(Duration::from_mins(1));
            github.logins_with_tokens().is_empty()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_parked_link_that_the_database_refuses_is_given_back() {
    with_github(async |mut world, github| {
        host(&mut world);
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let callback = come_back(&mut client, &github, HOSTED).await;
        world.store.broken_links.store(1, Ordering::SeqCst);
        let outcome = call_back(&mut client, &callback).await;
        assert!(outcome.error.is_some());
        given_back(&github, &world).await;
    })
    .await;
}

#[tokio::test]
async fn a_grant_of_a_worker_that_dies_before_it_is_linked_is_given_back_by_another() {
    with_github(async |world, github| {
        let dying = world.worker().await;
        let mut client = world.client("u", "s").await;
        github.fault(Route::Profile, Kind::AwaitRelease);
        let job = client.job(CommandKind::Connect, connect("test_code_ada"));
        client.submit(&job).await;
        github.blocked().await;
        assert!(!dying.drain(Duration::ZERO).await.is_clean());
        let _another = world.worker().await;
        given_back(&github, &world).await;
    })
    .await;
}

#[tokio::test]
async fn a_grant_that_all_access_was_revoked_over_is_given_back() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let (mut client, mut other) = (world.client("u", "s").await, world.client("u", "t").await);
        let confirmation = other.confirmation().await;
        github.fault(Route::Profile, Kind::AwaitRelease);
        let job = client.job(CommandKind::Connect, connect("test_code_ada"));
        client.submit(&job).await;
        github.blocked().await;
        succeeded(&other.revoke_all(&confirmation).await);
        github.release();
        refused(&client.answer(&job).await, "conflict");
        wait::until_true("the grant to end", DEADLINE, async || {
            github.logins_with_tokens().is_empty()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn of_two_exchanges_under_one_idempotency_key_the_second_is_given_back() {
    with_github(async |mut world, github| {
        world.settings.dangerous_repeatable_codes = Some("test_code_".to_owned());
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        github.fault(Route::Profile, Kind::AwaitRelease);
        github.fault(Route::Profile, Kind::AwaitRelease);
        let jobs = [(); 2].map(|()| keyed(&mut client));
        for job in &jobs {
            client.submit(job).await;
        }
        let both = async || github.handle.snapshot().blocked.len() == 2;
        wait::until_true("both profiles", DEADLINE, both).await;
        github.release();
        let first = client.answer(&jobs[0]).await;
        let second = client.answer(&jobs[1]).await;
        succeeded(&first);
        assert_eq!(first["account"], second["account"]);
        world.clock.advance(Duration::from_mins(1));
        wait::until_true("one of them to end", DEADLINE, async || {
            github.logins_with_tokens().len() == 1
        })
        .await;
        succeeded(&client.for_github(CommandKind::Sync).await);
    })
    .await;
}

fn keyed(client: &mut Client) -> protocol::cluster::job::Job {
    protocol::cluster::job::Job {
        idempotency_key: Some("key".to_owned()),
        ..client.job(CommandKind::Connect, connect("test_code_ada"))
    }
}

/// Links at a platform that does what its codes say, and counts what is given back.
async fn scripted(code: &str, error: &str) {
    let scripted = Arc::new(Scripted::github());
    let world = World::new(vec![Arc::<Scripted>::clone(&scripted)]);
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    refused(&client.connect(code).await, error);
    wait::until_true("what was issued to be given back", DEADLINE, async || {
        world.clock.advance(Duration::from_mins(1));
        scripted.revoked.load(Ordering::SeqCst) == 1
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn tokens_that_come_when_nobody_waits_for_them_any_more_are_given_back() {
    scripted(&Scripted::takes(9_500, "late"), "oauth_failed").await;
}

#[tokio::test(start_paused = true)]
async fn tokens_of_a_connect_that_panics_are_given_back() {
    scripted(Scripted::PANICS_LATER, "internal").await;
}

/// At Discord, where no token can be ended alone: whose it is must be found out first.
async fn at_discord(others: &[&str]) -> (simulator::Handle, Value) {
    let (handle, _serving) = simulator().await;
    let mut world = World::new(vec![platform(handle.url(), At::Discord)]);
    world.settings.dangerous_repeatable_codes = Some("test_code_".to_owned());
    let _worker = world.worker().await;
    for other in others {
        let mut client = world.client(other, "s").await;
        succeeded(&client.ask(CommandKind::Connect, code(At::Discord, "ada")).await);
    }
    let mut client = world.client("u", "s").await;
    for _ in 0..2 {
        handle.fault(Fault::once(At::Discord, Route::Profile, status(503)));
    }
    let answer = client.ask(CommandKind::Connect, code(At::Discord, "ada")).await;
    world
        .counted("postern_worker_revocations_total", &["outcome=\"done\""], 1)
        .await;
    (handle, answer)
}

#[tokio::test]
async fn a_discord_grant_whose_owner_was_not_known_ends_whole() {
    let (handle, answer) = at_discord(&[]).await;
    refused(&answer, "platform_unavailable");
    assert!(handle.snapshot().grants.is_empty());
}

#[tokio::test]
async fn a_discord_grant_whose_owner_was_not_known_spares_the_link_of_another_user() {
    let (handle, answer) = at_discord(&["v"]).await;
    refused(&answer, "platform_unavailable");
    assert_eq!(handle.snapshot().grants.len(), 1);
    assert!(handle.snapshot().ledger.revocations.is_empty());
}
