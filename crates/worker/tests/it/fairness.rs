//! One user's jobs cost no other user its place at a worker.

use std::time::Duration;

use protocol::cluster::job::{Job, OpenSession, Work};
use protocol::command::CommandKind;
use protocol::security::Alert;
use serde_json::json;
use tokio::time::Instant;

use crate::client::{Client, refused, succeeded};
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn a_user_has_four_jobs_in_hand_and_the_rest_waits_without_a_permit() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let (mut noisy, mut bystander) = (world.client("noisy", "s").await, world.client("v", "s").await);
    world.store.slow_down_lists_of("noisy", Duration::from_millis(500));
    let flood = lists(&mut noisy, 40).await;
    let begun = Instant::now();
    succeeded(&bystander.ask(CommandKind::List, json!({})).await);
    assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
    for job in &flood {
        succeeded(&noisy.answer(job).await);
    }
    assert!(
        (2..=4).contains(&world.store.most_slow_lists()),
        "{}",
        world.store.most_slow_lists()
    );
    world
        .counted("postern_worker_jobs_waiting", &["lane=\"interactive\""], 0)
        .await;
}

#[tokio::test(start_paused = true)]
async fn session_openings_and_second_factors_wait_for_no_other_command() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let others = (0..world.settings.concurrency.interactive).map(|number| format!("other-{number}"));
    for user in others.chain(["u".to_owned()]) {
        world.store.slow_down_lists_of(&user, Duration::from_secs(9));
        lists(&mut world.client(&user, "s").await, 8).await;
    }
    let mut client = world.client("u", "new").await;
    let open = client.work(Work::OpenSession(OpenSession {
        issued_at: None,
        announced: None,
        origin: client.origin.clone(),
    }));
    let begun = Instant::now();
    succeeded(&client.ask_for(&open).await);
    let code = json!({ "sessionId": "nothing open", "token": "123456" });
    refused(
        &client.ask(CommandKind::VerifyTwoFactor, code).await,
        "challenge_expired",
    );
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_for_its_user_stays_with_its_worker() {
    let world = World::scripted();
    let _busy = world.worker().await;
    let mut noisy = world.client("noisy", "s").await;
    world.store.slow_down_lists_of("noisy", Duration::from_millis(4_500));
    let flood = lists(&mut noisy, 4).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let _idle = world.worker().await;
    for job in &flood {
        succeeded(&noisy.answer(job).await);
    }
    assert_eq!(
        world.store.most_slow_lists(),
        3,
        "the idle worker has taken none of them"
    );
}

#[tokio::test(start_paused = true)]
async fn more_jobs_of_a_user_than_may_wait_are_refused_and_those_of_the_application_are_not() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut noisy = world.client("noisy", "s").await;
    world.store.slow_down_lists_of("noisy", Duration::from_secs(4));
    lists(&mut noisy, 3 + 64).await;
    let begun = Instant::now();
    let too_many = noisy.ask(CommandKind::List, json!({})).await;
    refused(&too_many, "rate_limited");
    assert_eq!(too_many["retryAfter"], 1);
    let alert: Alert = serde_json::from_value(json!({
        "userId": "noisy", "alertId": "a", "severity": "high", "type": "suspicious_login",
        "message": "Login from new device detected", "timestamp": "2026-11-23T16:31:00.007Z", "requiresAction": true,
    }))
    .unwrap();
    let raise = noisy.work(Work::RaiseAlert(alert));
    succeeded(&noisy.ask_for(&raise).await);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());

    // Six of them ran in the 10 s that their client waits. Nobody waits for the others any more.
    let late = 3 + 64 - 6;
    world
        .counted("postern_worker_jobs_total", &["outcome=\"late\""], late)
        .await;
    world.store.slow_down_lists_of("noisy", Duration::ZERO);
    succeeded(&noisy.ask(CommandKind::List, json!({})).await);
}

/// Submits so many lists at once.
async fn lists(client: &mut Client, count: usize) -> Vec<Job> {
    let mut jobs = Vec::new();
    for _ in 0..count {
        let job = client.job(CommandKind::List, json!({}));
        client.submit(&job).await;
        jobs.push(job);
    }
    jobs
}
