//! A platform that is slow, or never answers: it costs nobody anything who wants something else.

use std::time::Duration;

use protocol::cluster::job::{Job, OpenSession, Work};
use protocol::cluster::origin::Origin;
use protocol::command::CommandKind;
use serde_json::{Value, json};
use simulator::{Fault, Kind, Platform as At, Route};
use testkit::wait;
use tokio::time::Instant;
use worker::PlatformConcurrency;

use crate::client::{Client, DEADLINE, connect, refused, succeeded, with};
use crate::scripted::Scripted;
use crate::simulated::{linked, platform, simulator};
use crate::world::World;

const USERS: usize = 100;

/// A world with a platform that does what its codes say, in the place of GitHub, and another one beside it. Time stands still while
/// anybody has something to do, so what is at once takes none.
fn world() -> World {
    let mut world = World::scripted();
    world.offer_discord();
    world
}

/// Links of so many users under way, each with its own code.
async fn linking(world: &World, code: impl Fn(usize) -> String) -> Vec<(Client, Job)> {
    let mut under_way = Vec::new();
    for nth in 0..USERS {
        let mut client = world.client(&format!("user {nth}"), "s").await;
        let job = client.job(CommandKind::Connect, connect(&code(nth)));
        client.submit(&job).await;
        under_way.push((client, job));
    }
    under_way
}

async fn answers(under_way: Vec<(Client, Job)>) -> Vec<Value> {
    let mut answers = Vec::new();
    for (mut client, job) in under_way {
        answers.push(client.answer(&job).await);
    }
    answers
}

fn of(error: &str, answers: &[Value]) -> usize {
    answers.iter().filter(|answer| answer["error"] == error).count()
}

/// Somebody else opens a session, reads the accounts, tries a second factor, and links an account of another platform.
async fn assert_others_are_served_at_once(world: &World) {
    let begun = Instant::now();
    let mut other = world.client("somebody else", "s").await;
    let opening = OpenSession {
        issued_at: None,
        announced: None,
        origin: Origin {
            address: "192.0.2.9".to_owned(),
            device_id: None,
            device_name: None,
            user_agent: None,
        },
    };
    let open = other.work(Work::OpenSession(opening));
    other.submit(&open).await;
    assert!(other.outcome(&open).await.error.is_none());
    succeeded(&other.ask(CommandKind::List, json!({})).await);
    let verify = json!({"sessionId": "no challenge", "token": "123456"});
    refused(
        &other.ask(CommandKind::VerifyTwoFactor, verify).await,
        "challenge_expired",
    );
    let elsewhere = with(connect("any"), "accountType", "discord");
    succeeded(&other.ask(CommandKind::Connect, elsewhere).await);
    assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn links_at_a_platform_that_never_answers_delay_nobody_else() {
    let world = world();
    let _worker = world.worker().await;
    let under_way = linking(&world, Scripted::hangs).await;
    assert_others_are_served_at_once(&world).await;
    let answers = answers(under_way).await;
    let sent = world.settings.concurrency.exchanges.running;
    assert_eq!(of("oauth_failed", &answers), sent, "{answers:?}");
    assert_eq!(of("platform_unavailable", &answers), USERS - sent);
    let busy = ["platform=\"github\""];
    let refused = (USERS - sent) as u64;
    world
        .counted("postern_worker_platform_busy_total", &busy, refused)
        .await;
}

#[tokio::test(start_paused = true)]
async fn links_at_a_platform_that_is_slow_are_made_and_delay_nobody_else() {
    let world = world();
    let _worker = world.worker().await;
    let under_way = linking(&world, |nth| Scripted::takes(500, nth)).await;
    assert_others_are_served_at_once(&world).await;
    let answers = answers(under_way).await;
    assert!(answers.iter().all(|answer| answer["success"] == true), "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_refused_for_a_slow_platform_spends_neither_code_nor_state() {
    let mut world = world();
    world.settings.concurrency.exchanges = PlatformConcurrency { running: 1, waiting: 0 };
    let _worker = world.worker().await;
    let mut slow = world.client("slow", "s").await;
    let hangs = slow.job(CommandKind::Connect, connect(Scripted::HANGS));
    slow.submit(&hangs).await;

    let mut client = world.client("u", "s").await;
    let authorized = client.authorize().await;
    let asked = with(connect("a code"), "state", authorized["state"].clone());
    let answer = client.ask(CommandKind::Connect, asked.clone()).await;
    refused(&answer, "platform_unavailable");
    assert_eq!(answer["retryAfter"], 4);
    client.assert_no_event();

    refused(&slow.answer(&hangs).await, "oauth_failed");
    succeeded(&client.ask(CommandKind::Connect, asked).await);
}

#[tokio::test(start_paused = true)]
async fn syncs_at_a_platform_that_never_answers_delay_none_elsewhere() {
    let world = world();
    let _worker = world.worker().await;
    let concurrency = world.settings.concurrency;
    for nth in 0..concurrency.platform + concurrency.syncs.running {
        let mut client = world.client(&format!("user {nth}"), "s").await;
        succeeded(&client.connect(&format!("code {nth}")).await);
        let sync = client.job(CommandKind::Sync, json!({"accountType": "github"}));
        client.submit(&sync).await;
    }
    let mut other = world.client("somebody else", "s").await;
    let elsewhere = with(connect("any"), "accountType", "discord");
    succeeded(&other.ask(CommandKind::Connect, elsewhere).await);
    let begun = Instant::now();
    succeeded(&other.ask(CommandKind::Sync, json!({"accountType": "discord"})).await);
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn unlinks_that_wait_for_a_platform_delay_nobody_else() {
    let mut world = world();
    world.settings.concurrency.interactive = 4;
    let _worker = world.worker().await;
    let mut under_way = Vec::new();
    for nth in 0..world.settings.concurrency.interactive {
        let mut client = world.client(&format!("user {nth}"), "s").await;
        succeeded(&client.connect(&format!("code {nth}")).await);
        let sync = client.job(CommandKind::Sync, json!({"accountType": "github"}));
        client.submit(&sync).await;
        while client.status().await.0 != "syncing" {}
        let unlink = client.job(CommandKind::Disconnect, json!({"accountType": "github"}));
        client.submit(&unlink).await;
        under_way.push((client, unlink));
    }
    assert_others_are_served_at_once(&world).await;
    let answers = answers(under_way).await;
    assert!(answers.iter().all(|answer| answer["success"] == true), "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn due_syncs_at_a_platform_that_never_answers_delay_none_elsewhere() {
    let world = world();
    let _worker = world.worker().await;
    for nth in 0..20 {
        let mut client = world.client(&format!("user {nth}"), "s").await;
        succeeded(&client.connect(&format!("code {nth}")).await);
    }
    world.clock.advance(Duration::from_secs(1));
    let mut other = world.client("somebody else", "s").await;
    let elsewhere = with(connect("any"), "accountType", "discord");
    succeeded(&other.ask(CommandKind::Connect, elsewhere).await);
    world.clock.advance(Duration::from_mins(2));
    let begun = Instant::now();
    let synced = ["platform=\"discord\"", "outcome=\"ok\""];
    world.counted("postern_worker_syncs_total", &synced, 1).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn revocations_at_a_platform_that_never_answers_delay_none_elsewhere() {
    let (handle, _serving) = simulator().await;
    let platforms = [At::Github, At::Discord].map(|at| platform(handle.url(), at));
    let world = World::new(platforms.into());
    let _worker = world.worker().await;
    handle.fault(Fault::forever(At::Github, Route::Revoke, Kind::AwaitRelease));
    for nth in 0..6 {
        let mut client = linked(&world, At::Github, &format!("user{nth}")).await;
        succeeded(&client.for_github(CommandKind::Disconnect).await);
    }
    let blocked = async || handle.snapshot().blocked.len() == 4;
    wait::until_true("as many revocations as there may be", DEADLINE, blocked).await;

    let mut other = linked(&world, At::Discord, "ada").await;
    succeeded(
        &other
            .ask(CommandKind::Disconnect, json!({"accountType": "discord"}))
            .await,
    );
    let lives = |at| handle.snapshot().grants.iter().any(|grant| grant.platform == at);
    wait::until_true("the other platform's revocation", DEADLINE, async || {
        !lives(At::Discord)
    })
    .await;
    let asked = handle.snapshot().ledger.requests(At::Github, Route::Revoke);
    assert_eq!(asked, 4, "the four at the platform that never answers are there still");
}
