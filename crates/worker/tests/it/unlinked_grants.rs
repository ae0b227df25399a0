//! Grants that a platform issued and that were not linked: they are revoked, whatever failed after the exchange.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::command::CommandKind;
use serde_json::{Value, json};
use simulator::{Extent, Fault, Kind, Limit, Platform as At, Route};
use testkit::wait;

use crate::callback::{HOSTED_REDIRECT_URI, authorize_and_return, host_callback, send_callback};
use crate::client::{Client, DEADLINE, assert_error, assert_success, connect};
use crate::env::{SimulatedGithub, TestEnv, status, with_github};
use crate::scripted_platform::ScriptedPlatform;
use crate::simulated_platform::{code, platform, simulator};

/// Waits until the platform has no live token.
async fn wait_until_revoked(github: &SimulatedGithub, env: &TestEnv) {
    assert!(!github.logins_with_tokens().is_empty() || !github.revoked_grants().is_empty());
    // After this time no job can link the grant any more.
    env.clock.advance(Duration::from_mins(1));
    let ended = async || github.logins_with_tokens().is_empty();
    wait::until_true("the end of the tokens", DEADLINE, ended).await;
    let extents: Vec<_> = github.revoked_grants().into_iter().map(|(extent, _)| extent).collect();
    assert_eq!(extents, [Extent::Token], "not exactly one revocation");
}

/// Connects with a fault: the answer has this error, no account is linked, and the grant is revoked.
async fn connected_where(wrong: impl FnOnce(&TestEnv, &SimulatedGithub), error: &str) {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        wrong(&env, &github);
        assert_error(&client.connect("test_code_ada").await, error);
        wait_until_revoked(&github, &env).await;
        let listed = client.ask(CommandKind::List, json!({})).await;
        assert_eq!(listed["accounts"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn grant_without_profile_is_revoked_though_the_failure_is_not_recorded() {
    let wrong = |env: &TestEnv, github: &SimulatedGithub| {
        github.fault(Route::Profile, status(503));
        github.fault(Route::Profile, status(503));
        env.store.refused_refusals.store(1, Ordering::SeqCst);
    };
    connected_where(wrong, "platform_unavailable").await;
}

#[tokio::test]
async fn grant_with_throttled_profile_is_revoked() {
    let wrong = |_: &TestEnv, github: &SimulatedGithub| {
        let throttle = Kind::Throttle {
            limit: Limit::Secondary,
            seconds: 7,
        };
        github.fault(Route::Profile, throttle);
    };
    connected_where(wrong, "platform_rate_limited").await;
}

#[tokio::test]
async fn grant_refused_at_profile_fails_the_connect() {
    let wrong = |_: &TestEnv, github: &SimulatedGithub| github.fault(Route::Profile, status(401));
    connected_where(wrong, "oauth_failed").await;
}

#[tokio::test]
async fn link_refused_by_database_is_revoked() {
    let wrong = |env: &TestEnv, _: &SimulatedGithub| env.store.broken_links.store(1, Ordering::SeqCst);
    connected_where(wrong, "internal").await;
}

#[tokio::test]
async fn link_not_stored_in_time_is_revoked() {
    let wrong = |env: &TestEnv, _: &SimulatedGithub| env.store.refused_links.store(u64::MAX, Ordering::SeqCst);
    connected_where(wrong, "unavailable").await;
}

#[tokio::test]
async fn grant_without_queued_revocation_is_not_linked_and_is_revoked_after_store_outage() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        env.store.refused_provisionals.store(u64::MAX, Ordering::SeqCst);
        env.store.refused_refusals.store(u64::MAX, Ordering::SeqCst);
        assert_error(&client.connect("test_code_ada").await, "unavailable");
        assert_eq!(github.logins_with_tokens(), ["ada"]);
        env.store.refused_provisionals.store(0, Ordering::SeqCst);
        wait::until_true("the end of the tokens", DEADLINE, async || {
            env.clock.advance(Duration::from_mins(1));
            github.logins_with_tokens().is_empty()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn pending_link_refused_by_database_is_revoked() {
    with_github(async |mut env, github| {
        host_callback(&mut env);
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let callback = authorize_and_return(&mut client, &github, HOSTED_REDIRECT_URI).await;
        env.store.broken_links.store(1, Ordering::SeqCst);
        let outcome = send_callback(&mut client, &callback).await;
        assert!(outcome.error.is_some());
        wait_until_revoked(&github, &env).await;
    })
    .await;
}

#[tokio::test]
async fn grant_of_lost_worker_is_revoked_by_another() {
    with_github(async |env, github| {
        let lost = env.worker().await;
        let mut client = env.client("u", "s").await;
        github.fault(Route::Profile, Kind::AwaitRelease);
        let job = client.job(CommandKind::Connect, connect("test_code_ada"));
        client.submit(&job).await;
        github.wait_for_blocked_request().await;
        assert!(!lost.drain(Duration::ZERO).await.is_clean());
        let _another = env.worker().await;
        wait_until_revoked(&github, &env).await;
    })
    .await;
}

#[tokio::test]
async fn grant_of_connect_during_revoke_all_is_revoked() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let (mut client, mut other) = (env.client("u", "s").await, env.client("u", "t").await);
        let confirmation = other.confirmation().await;
        github.fault(Route::Profile, Kind::AwaitRelease);
        let job = client.job(CommandKind::Connect, connect("test_code_ada"));
        client.submit(&job).await;
        github.wait_for_blocked_request().await;
        assert_success(&other.revoke_all(&confirmation).await);
        github.release();
        assert_error(&client.answer(&job).await, "conflict");
        wait::until_true("the grant to end", DEADLINE, async || {
            github.logins_with_tokens().is_empty()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn second_exchange_with_same_idempotency_key_is_revoked() {
    with_github(async |mut env, github| {
        env.settings.dangerous_repeatable_codes = Some("test_code_".to_owned());
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
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
        assert_success(&first);
        assert_eq!(first["account"], second["account"]);
        env.clock.advance(Duration::from_mins(1));
        wait::until_true("the end of one token", DEADLINE, async || {
            github.logins_with_tokens().len() == 1
        })
        .await;
        assert_success(&client.for_github(CommandKind::Sync).await);
    })
    .await;
}

fn keyed(client: &mut Client) -> protocol::cluster::job::Job {
    protocol::cluster::job::Job {
        idempotency_key: Some("key".to_owned()),
        ..client.job(CommandKind::Connect, connect("test_code_ada"))
    }
}

/// Connects at the scripted platform, and waits until its token is revoked.
async fn scripted(code: &str, error: &str) {
    let scripted = Arc::new(ScriptedPlatform::github());
    let env = TestEnv::new(vec![Arc::<ScriptedPlatform>::clone(&scripted)]);
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_error(&client.connect(code).await, error);
    wait::until_true("the revocation", DEADLINE, async || {
        env.clock.advance(Duration::from_mins(1));
        scripted.revoked.load(Ordering::SeqCst) == 1
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn tokens_issued_after_the_deadline_are_revoked() {
    scripted(&ScriptedPlatform::takes(9_500, "late"), "oauth_failed").await;
}

#[tokio::test(start_paused = true)]
async fn tokens_of_panicking_connect_are_revoked() {
    scripted(ScriptedPlatform::PANICS_AT_PROFILE, "internal").await;
}

/// Connects at Discord, where no token can be revoked alone, so that the owner must be found out first.
async fn at_discord(others: &[&str]) -> (simulator::Handle, Value) {
    let (handle, _serving) = simulator().await;
    let mut env = TestEnv::new(vec![platform(handle.url(), At::Discord)]);
    env.settings.dangerous_repeatable_codes = Some("test_code_".to_owned());
    let _worker = env.worker().await;
    for other in others {
        let mut client = env.client(other, "s").await;
        assert_success(&client.ask(CommandKind::Connect, code(At::Discord, "ada")).await);
    }
    let mut client = env.client("u", "s").await;
    for _ in 0..2 {
        handle.fault(Fault::once(At::Discord, Route::Profile, status(503)));
    }
    let answer = client.ask(CommandKind::Connect, code(At::Discord, "ada")).await;
    env.wait_for_count("postern_worker_revocations_total", &["outcome=\"done\""], 1)
        .await;
    (handle, answer)
}

#[tokio::test]
async fn discord_grant_without_known_owner_is_revoked() {
    let (handle, answer) = at_discord(&[]).await;
    assert_error(&answer, "platform_unavailable");
    assert!(handle.snapshot().grants.is_empty());
}

#[tokio::test]
async fn discord_grant_without_known_owner_is_kept_for_another_user() {
    let (handle, answer) = at_discord(&["v"]).await;
    assert_error(&answer, "platform_unavailable");
    assert_eq!(handle.snapshot().grants.len(), 1);
    assert!(handle.snapshot().ledger.revocations.is_empty());
}
