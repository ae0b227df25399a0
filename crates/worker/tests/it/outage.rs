//! Outages of bus and store: refused commands during one, recovery after it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lifecycle::Readiness;
use protocol::command::CommandKind;
use serde_json::json;

use crate::client::{DEADLINE, assert_error, assert_success};
use crate::env::TestEnv;

#[tokio::test(start_paused = true)]
async fn worker_is_ready_once_it_has_read_each_lane_and_stays_so_in_an_outage() {
    let env = TestEnv::scripted();
    env.bus.refuses_claims.store(true, Ordering::SeqCst);
    let readiness = Readiness::new();
    let worker = env.build(readiness.clone());
    let _running = worker.spawn();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(
        readiness.waiting_for(),
        ["sign-in lane", "interactive lane", "platform lane", "webhook lane"]
    );

    env.bus.refuses_claims.store(false, Ordering::SeqCst);
    tokio::time::timeout(DEADLINE, readiness.ready()).await.unwrap();
    let mut client = env.client("u", "s").await;
    assert_success(&client.ask(CommandKind::List, json!({})).await);

    // A later outage is not the worker's.
    env.bus.refuses_claims.store(true, Ordering::SeqCst);
    env.store.is_unavailable.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(readiness.is_ready());
}

#[tokio::test(start_paused = true)]
async fn commands_report_unavailable_during_store_outage_and_work_after() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    env.store.is_unavailable.store(true, Ordering::SeqCst);
    assert_error(&client.connect("any").await, "unavailable");
    env.store.is_unavailable.store(false, Ordering::SeqCst);
    assert_success(&client.connect("any").await);
}

#[tokio::test(start_paused = true)]
async fn link_is_stored_after_transient_store_errors() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    env.store.refused_links.store(3, Ordering::SeqCst);
    assert_success(&client.connect("any").await);
}

#[tokio::test(start_paused = true)]
async fn unstored_link_reports_unavailable_before_the_deadline() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    env.store.refused_links.store(u64::MAX, Ordering::SeqCst);
    let started = tokio::time::Instant::now();
    assert_error(&client.connect("any").await, "unavailable");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn expired_records_are_pruned() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_success(&client.connect("any").await);
    assert_error(&client.connect("any").await, "oauth_failed");

    env.clock.advance(Duration::from_secs(25 * 60 * 60));
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_success(&client.connect("any").await);
}
