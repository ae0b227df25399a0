//! Idempotency: a job or command that is repeated runs once.

use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::command::CommandKind;
use simulator::{Kind, Route};

use crate::client::{assert_error, assert_success, connect, with_field};
use crate::env::with_github;

#[tokio::test]
async fn job_delivered_twice_runs_once_and_repeats_its_answer() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let job = client.job(CommandKind::Connect, connect("test_code_ada"));
        client.submit(&job).await;
        let first = client.answer(&job).await;
        assert_success(&first);
        client.submit(&job).await;
        assert_eq!(client.answer(&job).await, first);
        assert_eq!(github.exchanges("test_code_ada"), 1);
        assert_eq!(client.status().await.0, "connected");
        client.assert_no_event();
    })
    .await;
}

#[tokio::test]
async fn unsent_answer_is_sent_again() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        env.bus.refused_answers.store(1, Ordering::SeqCst);
        assert_success(&client.connect("test_code_ada").await);
        assert_eq!(github.exchanges("test_code_ada"), 1);
    })
    .await;
}

#[tokio::test]
async fn code_sent_by_lost_worker_is_not_exchanged_again() {
    with_github(async |env, github| {
        let lost = env.worker().await;
        let mut client = env.client("u", "s").await;
        github.fault(Route::Token, Kind::AwaitRelease);
        let job = client.job(CommandKind::Connect, connect("test_code_ada"));
        client.submit(&job).await;
        github.wait_for_blocked_request().await;
        assert!(!lost.drain(Duration::ZERO).await.is_clean());
        github.release();

        let _another = env.worker().await;
        assert_error(&client.answer(&job).await, "oauth_failed");
        assert_eq!(github.exchanges("test_code_ada"), 1);
    })
    .await;
}

#[tokio::test]
async fn same_idempotency_key_returns_first_answer() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let asked = with_field(connect("test_code_ada"), "idempotencyKey", "k");
        let first = client.ask(CommandKind::Connect, asked.clone()).await;
        assert_success(&first);
        assert_eq!(client.ask(CommandKind::Connect, asked).await, first);
        assert_eq!(github.exchanges("test_code_ada"), 1);
    })
    .await;
}

#[tokio::test]
async fn committed_failure_is_returned_for_same_idempotency_key() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let asked = with_field(connect("never issued"), "idempotencyKey", "k");
        let first = client.ask(CommandKind::Connect, asked.clone()).await;
        assert_error(&first, "oauth_failed");
        assert_eq!(client.ask(CommandKind::Connect, asked).await, first);
        assert_eq!(github.requests(Route::Token), 1);
    })
    .await;
}

#[tokio::test]
async fn different_request_with_same_idempotency_key_reports_conflict() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let mut other_session = env.client("u", "t").await;
        let asked = with_field(connect("test_code_ada"), "idempotencyKey", "k");
        assert_success(&client.ask(CommandKind::Connect, asked).await);
        let other = with_field(connect("test_code_eve"), "idempotencyKey", "k");
        assert_error(&client.ask(CommandKind::Connect, other.clone()).await, "conflict");
        assert_eq!(github.exchanges("test_code_eve"), 0);
        assert_error(
            &other_session.ask(CommandKind::Connect, other).await,
            "already_connected",
        );
    })
    .await;
}
