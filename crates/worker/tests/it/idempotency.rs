//! What is asked twice is done once.

use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::command::CommandKind;
use simulator::{Kind, Route};

use crate::client::{connect, refused, succeeded, with};
use crate::world::with_github;

#[tokio::test]
async fn a_job_delivered_twice_is_done_once_and_answered_the_same() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let job = client.job(CommandKind::Connect, connect("test_code_ada"));
        client.submit(&job).await;
        let first = client.answer(&job).await;
        succeeded(&first);
        client.submit(&job).await;
        assert_eq!(client.answer(&job).await, first);
        assert_eq!(github.exchanges("test_code_ada"), 1);
        assert_eq!(client.status().await.0, "connected");
        client.assert_no_event();
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_could_not_be_sent_is_repeated() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        world.bus.refused_answers.store(1, Ordering::SeqCst);
        succeeded(&client.connect("test_code_ada").await);
        assert_eq!(github.exchanges("test_code_ada"), 1);
    })
    .await;
}

#[tokio::test]
async fn a_code_that_a_lost_worker_had_sent_is_not_sent_again() {
    with_github(async |world, github| {
        let lost = world.worker().await;
        let mut client = world.client("u", "s").await;
        github.fault(Route::Token, Kind::AwaitRelease);
        let job = client.job(CommandKind::Connect, connect("test_code_ada"));
        client.submit(&job).await;
        github.blocked().await;
        assert!(!lost.drain(Duration::ZERO).await.is_clean());
        github.release();

        let _another = world.worker().await;
        refused(&client.answer(&job).await, "oauth_failed");
        assert_eq!(github.exchanges("test_code_ada"), 1);
    })
    .await;
}

#[tokio::test]
async fn the_same_idempotency_key_gives_the_first_result() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let asked = with(connect("test_code_ada"), "idempotencyKey", "k");
        let first = client.ask(CommandKind::Connect, asked.clone()).await;
        succeeded(&first);
        assert_eq!(client.ask(CommandKind::Connect, asked).await, first);
        assert_eq!(github.exchanges("test_code_ada"), 1);
    })
    .await;
}

#[tokio::test]
async fn a_failure_that_was_committed_is_repeated_too() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let asked = with(connect("never issued"), "idempotencyKey", "k");
        let first = client.ask(CommandKind::Connect, asked.clone()).await;
        refused(&first, "oauth_failed");
        assert_eq!(client.ask(CommandKind::Connect, asked).await, first);
        assert_eq!(github.requests(Route::Token), 1);
    })
    .await;
}

#[tokio::test]
async fn another_request_under_the_same_idempotency_key_is_a_conflict() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let mut other_session = world.client("u", "t").await;
        let asked = with(connect("test_code_ada"), "idempotencyKey", "k");
        succeeded(&client.ask(CommandKind::Connect, asked).await);
        let other = with(connect("test_code_eve"), "idempotencyKey", "k");
        refused(&client.ask(CommandKind::Connect, other.clone()).await, "conflict");
        assert_eq!(github.exchanges("test_code_eve"), 0);
        refused(
            &other_session.ask(CommandKind::Connect, other).await,
            "already_connected",
        );
    })
    .await;
}
