//! Fairness between users: the jobs of one user do not delay those of another.

use std::time::Duration;

use protocol::cluster::job::{Job, OpenSession, Work};
use protocol::command::CommandKind;
use protocol::security::Alert;
use serde_json::json;
use tokio::time::Instant;

use crate::client::{Client, assert_error, assert_success};
use crate::env::TestEnv;

#[tokio::test(start_paused = true)]
async fn user_runs_at_most_four_jobs_and_others_wait_without_permit() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let (mut noisy, mut bystander) = (env.client("noisy", "s").await, env.client("v", "s").await);
    env.store.slow_down_lists_of("noisy", Duration::from_millis(500));
    let flood = lists(&mut noisy, 40).await;
    let started = Instant::now();
    assert_success(&bystander.ask(CommandKind::List, json!({})).await);
    assert!(
        started.elapsed() < Duration::from_millis(400),
        "{:?}",
        started.elapsed()
    );
    for job in &flood {
        assert_success(&noisy.answer(job).await);
    }
    assert!(
        (2..=4).contains(&env.store.max_running_lists()),
        "{}",
        env.store.max_running_lists()
    );
    env.wait_for_count("postern_worker_jobs_waiting", &["lane=\"interactive\""], 0)
        .await;
}

#[tokio::test(start_paused = true)]
async fn session_open_and_verify_do_not_wait_for_other_commands() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let others = (0..env.settings.concurrency.interactive).map(|number| format!("other-{number}"));
    for user in others.chain(["u".to_owned()]) {
        env.store.slow_down_lists_of(&user, Duration::from_secs(9));
        lists(&mut env.client(&user, "s").await, 8).await;
    }
    let mut client = env.client("u", "new").await;
    let open = client.work(Work::OpenSession(OpenSession {
        issued_at: None,
        expires_at: None,
        latest_expiry: None,
        announced: None,
        alert_check: None,
        origin: client.origin.clone(),
    }));
    let started = Instant::now();
    assert_success(&client.ask_for(&open).await);
    let code = json!({ "sessionId": "nothing open", "token": "123456" });
    assert_error(
        &client.ask(CommandKind::VerifyTwoFactor, code).await,
        "challenge_expired",
    );
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn job_waiting_for_its_user_is_not_claimed_by_another_worker() {
    let env = TestEnv::scripted();
    let _busy = env.worker().await;
    let mut noisy = env.client("noisy", "s").await;
    env.store.slow_down_lists_of("noisy", Duration::from_millis(4_500));
    let flood = lists(&mut noisy, 4).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let _idle = env.worker().await;
    for job in &flood {
        assert_success(&noisy.answer(job).await);
    }
    assert_eq!(env.store.max_running_lists(), 3, "the idle worker claimed one of them");
}

#[tokio::test(start_paused = true)]
async fn waiting_jobs_beyond_the_user_limit_are_rate_limited_except_application_jobs() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut noisy = env.client("noisy", "s").await;
    env.store.slow_down_lists_of("noisy", Duration::from_secs(4));
    lists(&mut noisy, 3 + 64).await;
    let started = Instant::now();
    let too_many = noisy.ask(CommandKind::List, json!({})).await;
    assert_error(&too_many, "rate_limited");
    assert_eq!(too_many["retryAfter"], 1);
    let alert: Alert = serde_json::from_value(json!({
        "userId": "noisy", "alertId": "a", "severity": "high", "type": "suspicious_login",
        "message": "Login from new device detected", "timestamp": "2026-11-23T16:31:00.007Z", "requiresAction": true,
    }))
    .unwrap();
    let raise = noisy.work(Work::RaiseAlert(alert));
    assert_success(&noisy.ask_for(&raise).await);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());

    // Six of them ran within the 10 s that their client waits; the others are late.
    let late = 3 + 64 - 6;
    env.wait_for_count("postern_worker_jobs_total", &["outcome=\"late\""], late)
        .await;
    env.store.slow_down_lists_of("noisy", Duration::ZERO);
    assert_success(&noisy.ask(CommandKind::List, json!({})).await);
}

/// Submits this number of `account:list` at once.
async fn lists(client: &mut Client, count: usize) -> Vec<Job> {
    let mut jobs = Vec::new();
    for _ in 0..count {
        let job = client.job(CommandKind::List, json!({}));
        client.submit(&job).await;
        jobs.push(job);
    }
    jobs
}
