//! Slow or hanging platform: it delays no request for anything else.

use std::time::Duration;

use protocol::cluster::job::{Job, OpenSession, Work};
use protocol::cluster::origin::Origin;
use protocol::command::CommandKind;
use serde_json::{Value, json};
use simulator::{Fault, Kind, Platform as At, Route};
use testkit::wait;
use tokio::time::Instant;
use worker::PlatformConcurrency;

use crate::client::{Client, DEADLINE, assert_error, assert_success, connect, with_field};
use crate::env::TestEnv;
use crate::scripted_platform::ScriptedPlatform;
use crate::simulated_platform::{linked, platform, simulator};

const USERS: usize = 100;

/// Environment with two scripted platforms. Paused time advances only while every task waits, so immediate work takes none.
fn env() -> TestEnv {
    let mut env = TestEnv::scripted();
    env.offer_discord();
    env
}

/// Submits a connect for each of so many users, each with its own code.
async fn submit_connects(env: &TestEnv, code: impl Fn(usize) -> String) -> Vec<(Client, Job)> {
    let mut running = Vec::new();
    for nth in 0..USERS {
        let mut client = env.client(&format!("user {nth}"), "s").await;
        let job = client.job(CommandKind::Connect, connect(&code(nth)));
        client.submit(&job).await;
        running.push((client, job));
    }
    running
}

async fn answers(running: Vec<(Client, Job)>) -> Vec<Value> {
    let mut answers = Vec::new();
    for (mut client, job) in running {
        answers.push(client.answer(&job).await);
    }
    answers
}

fn count_errors(error: &str, answers: &[Value]) -> usize {
    answers.iter().filter(|answer| answer["error"] == error).count()
}

/// Asserts that another user opens a session, lists accounts, verifies a code and links at another platform without delay.
async fn assert_others_are_served_at_once(env: &TestEnv) {
    let started = Instant::now();
    let mut other = env.client("somebody else", "s").await;
    let opening = OpenSession {
        issued_at: None,
        expires_at: None,
        latest_expiry: None,
        announced: None,
        alert_check: None,
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
    assert_success(&other.ask(CommandKind::List, json!({})).await);
    let verify = json!({"sessionId": "no challenge", "token": "123456"});
    assert_error(
        &other.ask(CommandKind::VerifyTwoFactor, verify).await,
        "challenge_expired",
    );
    let elsewhere = with_field(connect("any"), "accountType", "discord");
    assert_success(&other.ask(CommandKind::Connect, elsewhere).await);
    assert!(
        started.elapsed() < Duration::from_millis(400),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn connects_at_hanging_platform_do_not_delay_others() {
    let env = env();
    let _worker = env.worker().await;
    let running = submit_connects(&env, ScriptedPlatform::hangs).await;
    assert_others_are_served_at_once(&env).await;
    let answers = answers(running).await;
    let sent = env.settings.concurrency.exchanges.running;
    assert_eq!(count_errors("oauth_failed", &answers), sent, "{answers:?}");
    assert_eq!(count_errors("platform_unavailable", &answers), USERS - sent);
    let busy = ["platform=\"github\""];
    let rejected = (USERS - sent) as u64;
    env.wait_for_count("postern_worker_platform_busy_total", &busy, rejected)
        .await;
}

#[tokio::test(start_paused = true)]
async fn connects_at_slow_platform_succeed_and_do_not_delay_others() {
    let env = env();
    let _worker = env.worker().await;
    let running = submit_connects(&env, |nth| ScriptedPlatform::takes(500, nth)).await;
    assert_others_are_served_at_once(&env).await;
    let answers = answers(running).await;
    assert!(answers.iter().all(|answer| answer["success"] == true), "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn connect_refused_for_busy_platform_keeps_code_and_state_valid() {
    let mut env = env();
    env.settings.concurrency.exchanges = PlatformConcurrency { running: 1, waiting: 0 };
    let _worker = env.worker().await;
    let mut slow = env.client("slow", "s").await;
    let hangs = slow.job(CommandKind::Connect, connect(ScriptedPlatform::HANGS));
    slow.submit(&hangs).await;

    let mut client = env.client("u", "s").await;
    let authorized = client.authorize().await;
    let asked = with_field(connect("a code"), "state", authorized["state"].clone());
    let answer = client.ask(CommandKind::Connect, asked.clone()).await;
    assert_error(&answer, "platform_unavailable");
    assert_eq!(answer["retryAfter"], 4);
    client.assert_no_event();

    assert_error(&slow.answer(&hangs).await, "oauth_failed");
    assert_success(&client.ask(CommandKind::Connect, asked).await);
}

#[tokio::test(start_paused = true)]
async fn syncs_at_hanging_platform_do_not_delay_other_platforms() {
    let env = env();
    let _worker = env.worker().await;
    let concurrency = env.settings.concurrency;
    for nth in 0..concurrency.platform + concurrency.syncs.running {
        let mut client = env.client(&format!("user {nth}"), "s").await;
        assert_success(&client.connect(&format!("code {nth}")).await);
        let sync = client.job(CommandKind::Sync, json!({"accountType": "github"}));
        client.submit(&sync).await;
    }
    let mut other = env.client("somebody else", "s").await;
    let elsewhere = with_field(connect("any"), "accountType", "discord");
    assert_success(&other.ask(CommandKind::Connect, elsewhere).await);
    let started = Instant::now();
    assert_success(&other.ask(CommandKind::Sync, json!({"accountType": "discord"})).await);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn unlinks_waiting_for_a_sync_do_not_delay_others() {
    let mut env = env();
    env.settings.concurrency.interactive = 4;
    let _worker = env.worker().await;
    let mut running = Vec::new();
    for nth in 0..env.settings.concurrency.interactive {
        let mut client = env.client(&format!("user {nth}"), "s").await;
        assert_success(&client.connect(&format!("code {nth}")).await);
        let sync = client.job(CommandKind::Sync, json!({"accountType": "github"}));
        client.submit(&sync).await;
        while client.status().await.0 != "syncing" {}
        let unlink = client.job(CommandKind::Disconnect, json!({"accountType": "github"}));
        client.submit(&unlink).await;
        running.push((client, unlink));
    }
    assert_others_are_served_at_once(&env).await;
    let answers = answers(running).await;
    assert!(answers.iter().all(|answer| answer["success"] == true), "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn due_syncs_at_hanging_platform_do_not_delay_other_platforms() {
    let env = env();
    let _worker = env.worker().await;
    for nth in 0..20 {
        let mut client = env.client(&format!("user {nth}"), "s").await;
        assert_success(&client.connect(&format!("code {nth}")).await);
    }
    env.clock.advance(Duration::from_secs(1));
    let mut other = env.client("somebody else", "s").await;
    let elsewhere = with_field(connect("any"), "accountType", "discord");
    assert_success(&other.ask(CommandKind::Connect, elsewhere).await);
    env.clock.advance(Duration::from_mins(2));
    let started = Instant::now();
    let synced = ["platform=\"discord\"", "outcome=\"ok\""];
    env.wait_for_count("postern_worker_syncs_total", &synced, 1).await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn revocations_at_hanging_platform_do_not_delay_other_platforms() {
    let (handle, _serving) = simulator().await;
    let platforms = [At::Github, At::Discord].map(|at| platform(handle.url(), at));
    let env = TestEnv::new(platforms.into());
    let _worker = env.worker().await;
    handle.fault(Fault::forever(At::Github, Route::Revoke, Kind::AwaitRelease));
    for nth in 0..6 {
        let mut client = linked(&env, At::Github, &format!("user{nth}")).await;
        assert_success(&client.for_github(CommandKind::Disconnect).await);
    }
    let all_sent = async || handle.snapshot().blocked.len() == 4;
    wait::until_true("as many revocations as the limit allows", DEADLINE, all_sent).await;

    let mut other = linked(&env, At::Discord, "ada").await;
    assert_success(
        &other
            .ask(CommandKind::Disconnect, json!({"accountType": "discord"}))
            .await,
    );
    let has_grant = |at| handle.snapshot().grants.iter().any(|grant| grant.platform == at);
    wait::until_true("the other platform's revocation", DEADLINE, async || {
        !has_grant(At::Discord)
    })
    .await;
    let asked = handle.snapshot().ledger.requests(At::Github, Route::Revoke);
    assert_eq!(asked, 4, "no further revocation was sent to the hanging platform");
}
