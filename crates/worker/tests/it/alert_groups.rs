//! Alerts of concurrent jobs: committed in groups, published at once, and each answered by itself.

use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::cluster::job::{Job, Work};
use protocol::security::Alert;
use serde_json::json;
use store::Outbox;
use testkit::wait;
use tokio::time::Instant;

use crate::client::{Client, DEADLINE, assert_error, assert_success};
use crate::env::TestEnv;

fn alert(name: &str) -> Alert {
    serde_json::from_value(json!({
        "userId": "u", "alertId": name, "severity": "high", "type": "suspicious_login",
        "message": "Login from new device detected", "timestamp": "2026-11-23T16:31:00.007Z", "requiresAction": true,
    }))
    .unwrap()
}

/// Clients of this many users, each with a submitted job that raises an alert.
async fn submit(env: &TestEnv, users: usize) -> Vec<(Client, Job)> {
    let mut clients = Vec::new();
    for number in 0..users {
        clients.push(env.client(&format!("u{number}"), "s").await);
    }
    let mut submitted = Vec::new();
    for mut client in clients {
        let job = client.work(Work::RaiseAlert(alert(&format!("alert of {}", client.user))));
        client.submit(&job).await;
        submitted.push((client, job));
    }
    submitted
}

#[tokio::test(start_paused = true)]
async fn concurrent_alerts_share_groups_and_are_published_without_sweep() {
    let env = TestEnv::scripted();
    let submitted = submit(&env, 100).await;
    env.store.refuses_sweeps.store(true, Ordering::SeqCst);
    let _worker = env.worker().await;
    for (mut client, job) in submitted {
        assert_success(&client.answer(&job).await);
        assert_eq!(client.alert().await["alertId"], format!("alert of {}", client.user));
        client.assert_no_alert();
    }
    let groups = env.store.groups.lock().unwrap().clone();
    assert_eq!(groups.iter().sum::<usize>(), 100, "{groups:?}");
    // More than the interactive lane has permits: an alert that waits for its group keeps none.
    assert!(groups.len() < 50 && groups.iter().max() > Some(&16), "{groups:?}");
}

#[tokio::test(start_paused = true)]
async fn group_that_the_database_refuses_fails_no_other_alert() {
    let env = TestEnv::scripted();
    env.store.broken_groups.store(u64::MAX, Ordering::SeqCst);
    let submitted = submit(&env, 10).await;
    let _worker = env.worker().await;
    for (mut client, job) in submitted {
        assert_success(&client.answer(&job).await);
        client.alert().await;
    }
}

#[tokio::test(start_paused = true)]
async fn group_in_an_outage_fails_each_of_its_alerts_and_the_next_group_succeeds() {
    let env = TestEnv::scripted();
    env.store.refused_groups.store(1, Ordering::SeqCst);
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let raise = client.work(Work::RaiseAlert(alert("a")));
    assert_error(&client.ask_for(&raise).await, "unavailable");
    let raise = client.work(Work::RaiseAlert(alert("a")));
    assert_success(&client.ask_for(&raise).await);
    assert_eq!(client.alert().await["alertId"], "a");
}

#[tokio::test(start_paused = true)]
async fn alert_after_one_that_the_bus_refused_is_published_behind_it() {
    let env = TestEnv::scripted();
    env.store.refuses_sweeps.store(true, Ordering::SeqCst);
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    env.bus.refuses_events.store(true, Ordering::SeqCst);
    let raise = client.work(Work::RaiseAlert(alert("a")));
    assert_success(&client.ask_for(&raise).await);
    client.assert_no_alert();

    env.bus.refuses_events.store(false, Ordering::SeqCst);
    let raise = client.work(Work::RaiseAlert(alert("b")));
    assert_success(&client.ask_for(&raise).await);
    assert_eq!(client.alert().await["alertId"], "a");
    assert_eq!(client.alert().await["alertId"], "b");
    client.assert_no_alert();
}

#[tokio::test(start_paused = true)]
async fn alert_of_the_same_group_as_one_that_the_bus_refused_is_published_behind_it() {
    let env = TestEnv::scripted();
    env.store.refuses_sweeps.store(true, Ordering::SeqCst);
    env.bus.refused_events.store(1, Ordering::SeqCst);
    let mut client = env.client("u", "s").await;
    let jobs = ["a", "b"].map(|name| client.work(Work::RaiseAlert(alert(name))));
    for job in &jobs {
        client.submit(job).await;
    }
    let _worker = env.worker().await;
    for job in &jobs {
        assert_success(&client.answer(job).await);
    }
    assert_eq!(*env.store.groups.lock().unwrap(), [2]);
    let next = client.work(Work::RaiseAlert(alert("c")));
    assert_success(&client.ask_for(&next).await);
    for name in ["a", "b", "c"] {
        assert_eq!(client.alert().await["alertId"], name);
    }
}

#[tokio::test(start_paused = true)]
async fn alerts_that_come_one_by_one_wait_for_no_group() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    for name in ["a", "b", "c"] {
        let begin = Instant::now();
        let raise = client.work(Work::RaiseAlert(alert(name)));
        assert_success(&client.ask_for(&raise).await);
        assert_eq!(begin.elapsed(), Duration::ZERO, "{name}");
    }
}

/// Counterpart of the tests above, in which only the sweep publishes.
#[tokio::test(start_paused = true)]
async fn alert_that_was_committed_and_not_published_is_found_by_the_sweep() {
    let env = TestEnv::scripted();
    let worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    env.bus.refuses_events.store(true, Ordering::SeqCst);
    let raise = client.work(Work::RaiseAlert(alert("a")));
    assert_success(&client.ask_for(&raise).await);
    worker.drain(Duration::from_secs(10)).await;

    env.bus.refuses_events.store(false, Ordering::SeqCst);
    let _another = env.on_another_node().worker().await;
    env.clock.advance(Duration::from_secs(2));
    assert_eq!(client.alert().await["alertId"], "a");
}

#[tokio::test(start_paused = true)]
async fn published_alerts_are_marked_when_no_group_follows() {
    let env = TestEnv::scripted();
    env.store.refuses_sweeps.store(true, Ordering::SeqCst);
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let raise = client.work(Work::RaiseAlert(alert("a")));
    assert_success(&client.ask_for(&raise).await);
    assert_eq!(client.alert().await["alertId"], "a");
    wait::until_true("the event to be marked", DEADLINE, async || {
        env.store.outbox_backlog().await.unwrap().events == 0
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn alert_of_a_group_follows_the_recent_ones_that_the_bus_has_lost() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let raise = client.work(Work::RaiseAlert(alert("a")));
    client.submit(&raise).await;
    assert_success(&client.answer(&raise).await);
    env.store.refuses_sweeps.store(true, Ordering::SeqCst);

    env.bus.lose_data();
    let mut client = env.client("u", "t").await;
    let raise = client.work(Work::RaiseAlert(alert("b")));
    client.submit(&raise).await;
    assert_success(&client.answer(&raise).await);
    for expected in ["a", "b"] {
        assert_eq!(client.alert().await["alertId"], expected);
    }
}
