//! Job engine: isolation between jobs, and the deadline of each.

use std::time::Duration;

use bus::Jobs as _;
use protocol::cluster::job::{Job, Lane};
use protocol::command::CommandKind;
use serde_json::json;
use simulator::{Kind, Route};

use crate::client::{Client, DEADLINE, assert_error, assert_success, connect};
use crate::env::{TestEnv, with_github};
use crate::scripted_platform::ScriptedPlatform;

#[tokio::test(start_paused = true)]
async fn panicking_job_reports_internal_and_worker_continues() {
    let env = TestEnv::scripted();
    let worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let answer = client
        .ask(CommandKind::Connect, connect(ScriptedPlatform::PANICS))
        .await;
    assert_error(&answer, "internal");
    assert!(!answer.to_string().contains("fault of the test"));
    assert_success(&client.connect("any").await);
    let failed = tokio::time::timeout(Duration::from_secs(60), worker.failure()).await;
    assert!(failed.is_err(), "the worker stopped");
}

#[tokio::test(start_paused = true)]
async fn hanging_platform_is_answered_before_the_deadline() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let started = tokio::time::Instant::now();
    assert_error(&client.connect(ScriptedPlatform::HANGS).await, "oauth_failed");
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(client.status().await.0, "error");

    assert_success(&client.connect("any").await);
    let started = tokio::time::Instant::now();
    assert_error(&client.for_github(CommandKind::Sync).await, "platform_unavailable");
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn slow_jobs_of_one_lane_do_not_delay_others() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_success(&client.connect("any").await);
    for _ in 0..env.settings.concurrency.platform {
        let sync = client.job(CommandKind::Sync, json!({"accountType": "github"}));
        client.submit(&sync).await;
    }
    let started = tokio::time::Instant::now();
    assert_success(&client.ask(CommandKind::List, json!({})).await);
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// Longer than the time after which another worker claims the job of a silent one.
const SLOW: Duration = Duration::from_secs(8);

/// Submits `account:list` with a delay of [`SLOW`] in the store.
async fn slow_list(env: &TestEnv) -> (Client, Job) {
    let mut client = env.client("slow", "s").await;
    env.store.slow_down_lists_of("slow", SLOW);
    let list = client.job(CommandKind::List, json!({}));
    client.submit(&list).await;
    (client, list)
}

#[tokio::test(start_paused = true)]
async fn job_without_permit_waits() {
    let mut env = TestEnv::scripted();
    env.settings.concurrency.interactive = 1;
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let started = tokio::time::Instant::now();
    let (mut slow, list) = slow_list(&env).await;
    assert_success(&client.ask(CommandKind::List, json!({})).await);
    assert!(started.elapsed() >= SLOW, "answered before the slow job");
    assert_success(&slow.answer(&list).await);
}

/// Reports, second by second, whether the interactive lane is served.
async fn served(env: &TestEnv, seconds: usize) -> Vec<bool> {
    let mut served = Vec::new();
    for _ in 0..seconds {
        tokio::time::sleep(Duration::from_secs(1)).await;
        served.push(env.bus.is_served(Lane::Interactive).await.unwrap());
    }
    served
}

#[tokio::test(start_paused = true)]
async fn lane_of_a_worker_without_a_free_permit_is_served() {
    let mut env = TestEnv::scripted();
    env.settings.concurrency.interactive = 1;
    let _worker = env.worker().await;
    let (mut slow, list) = slow_list(&env).await;
    assert_eq!(served(&env, 7).await, [true; 7]);
    assert_success(&slow.answer(&list).await);
}

#[tokio::test(start_paused = true)]
async fn lane_of_a_draining_worker_is_not_served_while_its_last_job_runs() {
    let mut env = TestEnv::scripted();
    env.settings.concurrency.interactive = 1;
    let worker = env.worker().await;
    let (mut slow, list) = slow_list(&env).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (served, report) = tokio::join!(served(&env, 7), worker.drain(DEADLINE));
    assert!(report.is_clean(), "{report}");
    assert_eq!(
        (served.first(), served.last()),
        (Some(&true), Some(&false)),
        "{served:?}"
    );
    assert_success(&slow.answer(&list).await);
}

#[tokio::test(start_paused = true)]
async fn running_job_is_not_claimed_by_another_worker() {
    let mut env = TestEnv::scripted();
    // Without a free permit the first worker claims nothing, not even its own job.
    env.settings.concurrency.interactive = 1;
    let _busy = env.worker().await;
    let started = tokio::time::Instant::now();
    let (mut slow, list) = slow_list(&env).await;
    tokio::time::sleep(Duration::from_secs(1)).await;

    let _idle = env.worker().await;
    assert_success(&slow.answer(&list).await);
    assert!(started.elapsed() >= SLOW, "answered by the second worker");
}

#[tokio::test(start_paused = true)]
async fn job_waiting_for_platform_is_not_claimed_by_another_worker() {
    let env = TestEnv::scripted();
    let _busy = env.worker().await;
    let _idle = env.worker().await;
    let mut client = env.client("u", "s").await;
    let slow = client.job(CommandKind::Connect, connect(&ScriptedPlatform::takes(8_000, 1)));
    client.submit(&slow).await;
    // Another worker would find the code already used.
    assert_success(&client.answer(&slow).await);
}

#[tokio::test(start_paused = true)]
async fn command_handled_by_gateways_reports_not_supported() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_error(
        &client.ask(CommandKind::ExtendSession, json!({})).await,
        "not_supported",
    );
}

#[tokio::test]
async fn drain_finishes_running_jobs() {
    with_github(async |env, github| {
        let worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        github.fault(Route::Token, Kind::AwaitRelease);
        let running = client.job(CommandKind::Connect, connect("test_code_ada"));
        client.submit(&running).await;
        github.wait_for_blocked_request().await;

        let (report, ()) = tokio::join!(worker.drain(DEADLINE), async {
            github.release();
            assert_success(&client.answer(&running).await);
            assert_eq!(client.status().await.0, "connected");
        });
        assert!(report.is_clean(), "{report}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn drained_worker_leaves_new_jobs_to_another_worker() {
    let env = TestEnv::scripted();
    let worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert!(worker.drain(DEADLINE).await.is_clean());
    let list = client.job(CommandKind::List, json!({}));
    client.submit(&list).await;
    let _another = env.worker().await;
    assert_success(&client.answer(&list).await);
}

#[tokio::test(start_paused = true)]
async fn jobs_are_counted_by_command_and_outcome() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_error(&client.connect(ScriptedPlatform::PANICS).await, "internal");
    assert_success(&client.connect("any").await);
    let of_connect = |outcome| ["command=\"account:connect\"", outcome];
    env.wait_for_count("postern_worker_jobs_total", &of_connect("outcome=\"internal\""), 1)
        .await;
    env.wait_for_count("postern_worker_jobs_total", &of_connect("outcome=\"ok\""), 1)
        .await;
    env.wait_for_count(
        "postern_worker_job_duration_seconds_count",
        &["command=\"account:connect\""],
        2,
    )
    .await;
    env.wait_for_count("postern_worker_jobs_running", &["lane=\"interactive\""], 0)
        .await;
}
