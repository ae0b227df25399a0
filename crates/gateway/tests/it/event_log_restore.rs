//! Internal API: events after a loss of Redis follow those that a worker publishes again.

use futures_util::future::join_all;
use protocol::id::UserId;
use serde_json::{Value, json};
use testkit::Native;

use crate::publish::{TOKEN, alert, gateway, post};
use crate::test_gateway::TestGateway;
use crate::worker::Worker;

/// Events that were published although older ones were not yet published again.
const BEFORE_RESTORE: &str = "postern_gateway_published_before_restore_total ";

async fn publish(gateway: &TestGateway, number: usize) {
    let data =
        json!({ "accountType": "github", "status": "error", "metadata": { "errorMessage": number.to_string() } });
    let body = json!({ "event": "account:status_changed", "data": data }).to_string();
    let (status, answer, _) = post(gateway, "/v1/users/GEN-001/events", Some(TOKEN), body).await;
    assert_eq!(status, 202, "{answer}");
}

async fn client(gateway: &TestGateway) -> Native {
    Native::connect(&gateway.endpoint, &gateway.token("GEN-001"))
        .await
        .unwrap()
}

async fn is_restored(gateway: &TestGateway) -> bool {
    let user = UserId::new("GEN-001").unwrap();
    gateway.bus.inner().unrestored_epoch(&user).await.unwrap().is_none()
}

#[tokio::test]
async fn events_wait_until_a_worker_has_published_older_ones_again() {
    let gateway = gateway().await;
    let mut older: Value = alert()["data"].take();
    older["timestamp"] = json!("2026-11-23T16:31:00.007Z");
    let worker = Worker::with_alerts(&gateway, vec![serde_json::from_value(older).unwrap()]);
    let client = client(&gateway).await;
    assert_eq!(
        client.next().await.offset,
        None,
        "the open alert, as for every socket that joins"
    );
    join_all((0..20).map(|number| publish(&gateway, number))).await;
    let first = client.next().await;
    assert_eq!(
        (first.name.as_str(), first.offset.is_some()),
        ("security:alert", true),
        "{first:?}"
    );
    for _ in 0..20 {
        client.next_event("account:status_changed").await;
    }
    assert_eq!(worker.restores(), 1, "the others wait for the first request");
    assert!(is_restored(&gateway).await);
    publish(&gateway, 20).await;
    assert_eq!((worker.restores(), gateway.metric(BEFORE_RESTORE)), (1, 0.0));
}

#[tokio::test]
async fn event_without_workers_is_published_at_once_and_counted() {
    let gateway = gateway().await;
    let client = client(&gateway).await;
    gateway.bus.withdraw_workers(true);
    publish(&gateway, 0).await;
    client.next_event("account:status_changed").await;
    assert_eq!(gateway.metric(BEFORE_RESTORE), 1.0);
    assert!(!is_restored(&gateway).await, "a worker can still publish older ones");
}

#[tokio::test]
async fn events_whose_restore_is_not_answered_are_published_in_the_end_and_counted() {
    let gateway = gateway().await;
    let client = client(&gateway).await;
    // Were the timeout that of each, this would take 200 s.
    for number in 0..100 {
        publish(&gateway, number).await;
        client.next_event("account:status_changed").await;
    }
    assert_eq!(gateway.metric(BEFORE_RESTORE), 100.0);
}
