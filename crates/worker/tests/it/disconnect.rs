//! `account:disconnect`.

use std::time::Duration;

use protocol::command::CommandKind;
use protocol::id::WorkerId;
use serde_json::json;
use simulator::{Extent, Fault, Kind, Limit, Platform, Route};
use store::TaskQueue;
use testkit::wait;

use crate::client::{DEADLINE, assert_error, assert_success};
use crate::env::{TestEnv, capacity_for, status, with_github};
use crate::simulated_platform::{linked, platform, simulator};

#[tokio::test]
async fn disconnect_removes_account_and_revokes_grant() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        assert_success(&client.connect("test_code_ada").await);
        let answer = client.for_github(CommandKind::Disconnect).await;
        assert_success(&answer);
        assert_eq!(answer["accountType"], "github");
        assert_eq!(client.status().await.0, "connected");
        assert_eq!(client.status().await.0, "disconnected");
        assert_eq!(github.revocations(1).await, [(Extent::Grant, Some("ada".to_owned()))]);
        assert_eq!(client.ask(CommandKind::List, json!({})).await["accounts"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn disconnect_keeps_link_of_other_user_to_same_account() {
    with_github(async |mut env, github| {
        env.settings.dangerous_repeatable_codes = Some("test_code_".to_owned());
        let _worker = env.worker().await;
        let mut one = env.client("u", "s").await;
        let mut other = env.client("v", "s").await;
        assert_success(&one.connect("test_code_ada").await);
        assert_success(&other.connect("test_code_ada").await);
        assert_success(&one.for_github(CommandKind::Disconnect).await);
        assert_eq!(github.revocations(1).await, [(Extent::Token, Some("ada".to_owned()))]);
        assert_success(&other.for_github(CommandKind::Sync).await);
    })
    .await;
}

#[tokio::test]
async fn disconnect_without_link_reports_not_connected() {
    with_github(async |env, _| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let answer = client.for_github(CommandKind::Disconnect).await;
        assert_error(&answer, "not_connected");
        assert_eq!(answer["accountType"], "github");
    })
    .await;
}

/// The next periodic query of the queue would come a second after the last one. The test below uses the periodic query alone.
#[tokio::test(start_paused = true)]
async fn queued_revocation_runs_at_once_on_its_own_worker() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_success(&client.connect("any").await);
    let queries = env.store.leases();
    wait::until_true("a query of the queue", DEADLINE, async || env.store.leases() > queries).await;
    let started = tokio::time::Instant::now();
    assert_success(&client.for_github(CommandKind::Disconnect).await);
    env.wait_for_count("postern_worker_revocations_total", &["outcome=\"done\""], 1)
        .await;
    assert!(
        started.elapsed() < Duration::from_millis(500),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn failed_revocation_is_retried() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        assert_success(&client.connect("test_code_ada").await);
        github.fault(Route::Revoke, status(503));
        assert_success(&client.for_github(CommandKind::Disconnect).await);

        let tried_again = async || {
            env.clock.advance(Duration::from_secs(60));
            github.requests(Route::Revoke) >= 2
        };
        wait::until_true("the second attempt", DEADLINE, tried_again).await;
        assert_eq!(github.revocations(1).await, [(Extent::Grant, Some("ada".to_owned()))]);
    })
    .await;
}

#[tokio::test]
async fn throttled_revocation_is_due_after_retry_after() {
    with_github(async |env, github| {
        let worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        assert_success(&client.connect("test_code_ada").await);
        let wait = Kind::Throttle {
            limit: Limit::Secondary,
            seconds: 7_200,
        };
        github.fault(Route::Revoke, wait);
        assert_success(&client.for_github(CommandKind::Disconnect).await);
        wait::until_true("the first attempt", DEADLINE, async || {
            github.requests(Route::Revoke) == 1
        })
        .await;
        assert!(worker.drain(DEADLINE).await.is_clean());

        let other = WorkerId::new("other").unwrap();
        let due = async || {
            env.store
                .lease_tasks(&other, &capacity_for(1), DEADLINE)
                .await
                .unwrap()
                .len()
        };
        env.clock.advance(Duration::from_secs(7_199));
        assert_eq!(due().await, 0);
        env.clock.advance(Duration::from_secs(1));
        assert_eq!(due().await, 1);
    })
    .await;
}

#[tokio::test]
async fn revocation_is_given_up_and_counted_after_eight_attempts() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        assert_success(&client.connect("test_code_ada").await);
        github.fault_forever(Route::Revoke, status(503));
        assert_success(&client.for_github(CommandKind::Disconnect).await);
        for tries in 1..8 {
            let retried = ["platform=\"github\"", "outcome=\"retried\""];
            env.wait_for_count("postern_worker_revocations_total", &retried, tries)
                .await;
            env.clock.advance(Duration::from_secs(60 * 60));
        }
        let dead = ["platform=\"github\"", "outcome=\"dead\""];
        env.wait_for_count("postern_worker_revocations_total", &dead, 1).await;
        assert_eq!(github.requests(Route::Revoke), 8);
    })
    .await;
}

/// A running refresh has used the stored tokens and will return others.
#[tokio::test]
async fn disconnect_during_refresh_revokes_refreshed_tokens() {
    let (handle, _serving) = simulator().await;
    let env = TestEnv::new(vec![platform(handle.url(), Platform::Discord)]);
    let _worker = env.worker().await;
    let mut client = linked(&env, Platform::Discord, "ada").await;
    handle.expire(Platform::Discord, "ada");
    handle.fault(Fault::once(Platform::Discord, Route::Token, Kind::AwaitRelease));
    let account = json!({"accountType": "discord"});
    let sync = client.job(CommandKind::Sync, account.clone());
    client.submit(&sync).await;
    let is_blocked = async || !handle.snapshot().blocked.is_empty();
    wait::until_true("a running refresh", DEADLINE, is_blocked).await;
    let disconnect = client.job(CommandKind::Disconnect, account);
    client.submit(&disconnect).await;
    let waits = env.store.busy_leases();
    wait::until_true("the disconnect to wait", DEADLINE, async || {
        env.store.busy_leases() > waits
    })
    .await;
    handle.release();
    assert_success(&client.answer(&disconnect).await);
    client.answer(&sync).await;
    wait::until_true("the grant to be revoked", DEADLINE, async || {
        handle.snapshot().tokens.is_empty()
    })
    .await;
    env.wait_for_count("postern_worker_revocations_total", &["outcome=\"done\""], 1)
        .await;
    let revocations = handle.snapshot().ledger.revocations;
    assert!(
        matches!(&revocations[..], [first, second] if first.login.as_deref() == Some("ada") && second.login.is_none()),
        "{revocations:?}"
    );
}
