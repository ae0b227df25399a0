//! The engine: one job costs no other, and none outlives its deadline.

use std::time::Duration;

use protocol::cluster::job::Job;
use protocol::command::CommandKind;
use serde_json::json;
use simulator::{Kind, Route};

use crate::client::{Client, DEADLINE, connect, refused, succeeded};
use crate::scripted::Scripted;
use crate::world::{World, with_github};

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_job_its_answer_and_nothing_else() {
    let world = World::scripted();
    let worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    let answer = client.ask(CommandKind::Connect, connect(Scripted::PANICS)).await;
    refused(&answer, "internal");
    assert!(!answer.to_string().contains("the test said so"));
    succeeded(&client.connect("any").await);
    let failed = tokio::time::timeout(Duration::from_secs(60), worker.failure()).await;
    assert!(failed.is_err(), "the worker lives on");
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_never_answers_is_given_up_in_time_to_say_so() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    let begun = tokio::time::Instant::now();
    refused(&client.connect(Scripted::HANGS).await, "oauth_failed");
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(client.status().await.0, "error");

    succeeded(&client.connect("any").await);
    let begun = tokio::time::Instant::now();
    refused(&client.for_github(CommandKind::Sync).await, "platform_unavailable");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn slow_jobs_of_one_lane_hold_up_no_other() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    succeeded(&client.connect("any").await);
    for _ in 0..world.settings.concurrency.platform {
        let sync = client.job(CommandKind::Sync, json!({"accountType": "github"}));
        client.submit(&sync).await;
    }
    let begun = tokio::time::Instant::now();
    succeeded(&client.ask(CommandKind::List, json!({})).await);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

/// Longer than a worker may be silent.
const SLOW: Duration = Duration::from_secs(8);

/// Submits a list of accounts that takes so long.
async fn slow_list(world: &World) -> (Client, Job) {
    let mut client = world.client("slow", "s").await;
    world.store.slow_down_lists_of("slow", SLOW);
    let list = client.job(CommandKind::List, json!({}));
    client.submit(&list).await;
    (client, list)
}

#[tokio::test(start_paused = true)]
async fn a_job_without_a_seat_waits_for_one() {
    let mut world = World::scripted();
    world.settings.concurrency.interactive = 1;
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    let begun = tokio::time::Instant::now();
    let (mut slow, list) = slow_list(&world).await;
    succeeded(&client.ask(CommandKind::List, json!({})).await);
    assert!(begun.elapsed() >= SLOW, "after the slow one");
    succeeded(&slow.answer(&list).await);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_worked_on_is_not_taken_by_another_worker() {
    let mut world = World::scripted();
    // With its only seat taken, the first worker claims nothing, its own job neither.
    world.settings.concurrency.interactive = 1;
    let _busy = world.worker().await;
    let begun = tokio::time::Instant::now();
    let (mut slow, list) = slow_list(&world).await;
    tokio::time::sleep(Duration::from_secs(1)).await;

    let _idle = world.worker().await;
    succeeded(&slow.answer(&list).await);
    assert!(begun.elapsed() >= SLOW, "the first worker's own answer");
}

#[tokio::test(start_paused = true)]
async fn a_job_at_its_platform_is_not_taken_by_another_worker() {
    let world = World::scripted();
    let _busy = world.worker().await;
    let _idle = world.worker().await;
    let mut client = world.client("u", "s").await;
    let slow = client.job(CommandKind::Connect, connect(&Scripted::takes(8_000, 1)));
    client.submit(&slow).await;
    // Another worker would find the code spent.
    succeeded(&client.answer(&slow).await);
}

#[tokio::test(start_paused = true)]
async fn what_gateways_do_themselves_is_not_supported() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    refused(
        &client.ask(CommandKind::ExtendSession, json!({})).await,
        "not_supported",
    );
}

#[tokio::test]
async fn a_drain_finishes_what_runs() {
    with_github(async |world, github| {
        let worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        github.fault(Route::Token, Kind::AwaitRelease);
        let running = client.job(CommandKind::Connect, connect("test_code_ada"));
        client.submit(&running).await;
        github.blocked().await;

        let (report, ()) = tokio::join!(worker.drain(DEADLINE), async {
            github.release();
            succeeded(&client.answer(&running).await);
            assert_eq!(client.status().await.0, "connected");
        });
        assert!(report.is_clean(), "{report}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_drained_worker_leaves_what_it_did_not_take_to_the_others() {
    let world = World::scripted();
    let worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    assert!(worker.drain(DEADLINE).await.is_clean());
    let list = client.job(CommandKind::List, json!({}));
    client.submit(&list).await;
    let _another = world.worker().await;
    succeeded(&client.answer(&list).await);
}

#[tokio::test(start_paused = true)]
async fn jobs_are_counted_by_command_and_by_how_they_ended() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    refused(&client.connect(Scripted::PANICS).await, "internal");
    succeeded(&client.connect("any").await);
    let of_connect = |outcome| ["command=\"account:connect\"", outcome];
    world
        .counted("postern_worker_jobs_total", &of_connect("outcome=\"internal\""), 1)
        .await;
    world
        .counted("postern_worker_jobs_total", &of_connect("outcome=\"ok\""), 1)
        .await;
    world
        .counted("postern_worker_job_seconds_count", &["command=\"account:connect\""], 2)
        .await;
    world
        .counted("postern_worker_jobs_running", &["lane=\"interactive\""], 0)
        .await;
}
