//! Metrics of a worker, as a scrape shows them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::cluster::job::Work;
use protocol::code::ErrorCode;
use protocol::command::CommandKind;
use serde_json::json;

use crate::client::{DEADLINE, assert_success, connect};
use crate::env::TestEnv;
use crate::scripted_platform::ScriptedPlatform;

/// Series of the worker's counters, without their values.
fn counters(scrape: &str) -> Vec<String> {
    let lines = scrape.lines().filter(|line| line.starts_with("postern_worker_"));
    let series = lines.filter_map(|line| line.rsplit_once(' ').map(|(series, _value)| series.to_owned()));
    series.filter(|series| !series.contains("_seconds_")).collect()
}

#[tokio::test(start_paused = true)]
async fn every_series_of_a_counter_is_zero_before_the_first_event() {
    let env = TestEnv::scripted();
    let _worker = env.build(lifecycle::Readiness::new());
    let scrape = env.scrape();
    for series in [
        "postern_worker_jobs_total{command=\"account:connect\",outcome=\"internal\"}",
        "postern_worker_jobs_total{command=\"webhook\",outcome=\"late\"}",
        "postern_worker_exchanges_total{outcome=\"platform_unavailable\",platform=\"x_twitter\"}",
        "postern_worker_revocations_total{outcome=\"dead\",platform=\"discord\"}",
        "postern_worker_syncs_total{outcome=\"lost\",platform=\"github\"}",
        "postern_worker_refreshes_total{outcome=\"unknown\",platform=\"github\"}",
        "postern_worker_pauses_total{platform=\"telegram\",whose=\"app\"}",
        "postern_worker_inbox_reads_total{outcome=\"refused\",platform=\"telegram\"}",
        "postern_worker_factor_messages_total{method=\"email\",outcome=\"unreached\"}",
        "postern_worker_platform_busy_total{platform=\"github\"}",
        "postern_worker_jobs_waiting{lane=\"sign_in\"}",
        "postern_worker_outbox_stopped_total",
    ] {
        let line = format!("{series} 0");
        assert!(
            scrape.lines().any(|found| found == line),
            "{line} is missing in:\n{scrape}"
        );
    }
    let jobs = counters(&scrape);
    let jobs = jobs
        .iter()
        .filter(|series| series.starts_with("postern_worker_jobs_total{"));
    assert_eq!(jobs.count(), Work::names().count() * (ErrorCode::ALL.len() + 2));
}

#[tokio::test(start_paused = true)]
async fn users_and_their_inputs_add_no_series() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let before = counters(&env.scrape());
    for number in 0..20 {
        let user = format!("user-{number}\"}}1");
        let mut client = env.client(&user, &format!("session-{number}")).await;
        client.connect(ScriptedPlatform::PANICS).await;
        client.connect(&format!("code-{number}")).await;
        let mut unknown = connect("any");
        unknown["redirectUri"] = json!(format!("https://evil-{number}.example"));
        client.ask(CommandKind::Connect, unknown).await;
        client.for_github(CommandKind::Disconnect).await;
    }
    let after = env.scrape();
    assert_eq!(counters(&after), before);
    for input in ["user-", "session-", "code-", "evil-"] {
        assert!(!after.contains(input), "{input} is in:\n{after}");
    }
}

/// Value of a gauge without labels, if it is observed.
fn gauge(env: &TestEnv, name: &str) -> Option<f64> {
    let scrape = env.scrape();
    let value = scrape
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map(|value| value.parse().unwrap())
}

/// Waits until a gauge passes, in paused time: a scrape for each of its milliseconds would take minutes.
async fn wait_for_gauge(env: &TestEnv, name: &str, passes: impl Fn(Option<f64>) -> bool) {
    let passed = async {
        while !passes(gauge(env, name)) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, passed).await.expect(name);
}

#[tokio::test(start_paused = true)]
async fn unsent_events_are_measured_while_the_store_answers() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    wait_for_gauge(&env, DEPTH, |events| events == Some(0.0)).await;
    wait_for_gauge(&env, "postern_store_dead_tasks", |tasks| tasks == Some(0.0)).await;

    env.bus.refuses_events.store(true, Ordering::SeqCst);
    let mut client = env.client("u", "s").await;
    assert_success(&client.connect("any").await);
    env.clock.advance(Duration::from_secs(90));
    wait_for_gauge(&env, "postern_store_outbox_oldest_age_seconds", |age| age >= Some(90.0)).await;
    wait_for_gauge(&env, DEPTH, |events| events >= Some(1.0)).await;

    env.store.is_unavailable.store(true, Ordering::SeqCst);
    wait_for_gauge(&env, DEPTH, |events| events.is_none()).await;
}

const DEPTH: &str = "postern_store_outbox_depth";

#[tokio::test(start_paused = true)]
async fn age_of_the_vault_key_counts_from_its_first_use_by_any_worker() {
    let env = TestEnv::scripted();
    let first = env.worker().await;
    wait_for_gauge(&env, "postern_vault_key_age_seconds", |age| {
        age.is_some_and(|age| age < 3_600.0)
    })
    .await;
    first.drain(DEADLINE).await;

    env.clock.advance(Duration::from_secs(3_600));
    let other = env.on_another_node();
    let _second = other.worker().await;
    wait_for_gauge(&other, "postern_vault_key_age_seconds", |age| age >= Some(3_600.0)).await;
}
