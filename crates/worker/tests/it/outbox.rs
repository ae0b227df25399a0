//! Outbox: committed events reach the bus in sequence, whatever fails meanwhile.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bus::Events;
use protocol::cluster::job::Work;
use protocol::command::CommandKind;

use crate::client::{assert_error, assert_success, connect};
use crate::env::{TestEnv, with_github};

#[tokio::test]
async fn events_refused_by_bus_are_published_later_in_sequence() {
    with_github(async |env, _| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        env.bus.refuses_events.store(true, Ordering::SeqCst);
        assert_success(&client.connect("test_code_ada").await);
        assert_success(&client.for_github(CommandKind::Sync).await);
        assert_success(&client.for_github(CommandKind::Disconnect).await);
        client.assert_no_event();

        env.bus.refuses_events.store(false, Ordering::SeqCst);
        env.clock.advance(Duration::from_secs(2));
        for expected in ["connected", "syncing", "connected", "disconnected"] {
            assert_eq!(client.status().await.0, expected);
        }
    })
    .await;
}

/// Counterpart of the test above, in which only the sweep publishes.
#[tokio::test(start_paused = true)]
async fn events_are_published_by_the_committing_job_without_sweep() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    env.store.refuses_sweeps.store(true, Ordering::SeqCst);
    let mut client = env.client("u", "s").await;
    assert_success(&client.ask(CommandKind::Connect, connect("any")).await);
    assert_eq!(client.status().await.0, "connected");
    assert_success(&client.for_github(CommandKind::Disconnect).await);
    assert_eq!(client.status().await.0, "disconnected");
}

#[tokio::test(start_paused = true)]
async fn recent_events_are_published_again_after_bus_data_loss() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_success(&client.ask(CommandKind::Connect, connect("any")).await);
    assert_eq!(client.status().await.0, "connected");
    // Long enough for the worker to have recorded the bus's first epoch.
    tokio::time::sleep(Duration::from_secs(10)).await;

    env.bus.lose_data();
    let mut client = env.client("u", "s").await;
    env.clock.advance(Duration::from_secs(2));
    assert_eq!(client.status().await.0, "connected");
    tokio::time::sleep(Duration::from_secs(60)).await;
    client.assert_no_event();
}

/// The sweep and the watch over the bus are too late for this: the next event itself restores the log.
#[tokio::test(start_paused = true)]
async fn newer_event_follows_the_recent_ones_that_the_bus_has_lost() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_success(&client.ask(CommandKind::Connect, connect("any")).await);
    assert_eq!(client.status().await.0, "connected");
    env.store.refuses_sweeps.store(true, Ordering::SeqCst);

    env.bus.lose_data();
    let mut client = env.client("u", "t").await;
    assert_success(&client.for_github(CommandKind::Disconnect).await);
    for expected in ["connected", "disconnected"] {
        assert_eq!(client.status().await.0, expected);
    }
}

/// An event of a gateway waits for this job.
#[tokio::test(start_paused = true)]
async fn restore_job_publishes_recent_events_again_and_lets_newer_ones_pass() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_success(&client.ask(CommandKind::Connect, connect("any")).await);
    assert_eq!(client.status().await.0, "connected");
    env.store.refuses_sweeps.store(true, Ordering::SeqCst);

    env.bus.lose_data();
    let mut client = env.client("u", "t").await;
    assert!(env.bus.unrestored_epoch(&client.user).await.unwrap().is_some());
    env.bus.refuses_events.store(true, Ordering::SeqCst);
    let refused = client.work(Work::RestoreLog);
    client.submit(&refused).await;
    assert_error(&client.answer(&refused).await, "unavailable");
    assert!(env.bus.unrestored_epoch(&client.user).await.unwrap().is_some());

    env.bus.refuses_events.store(false, Ordering::SeqCst);
    let restored = client.work(Work::RestoreLog);
    client.submit(&restored).await;
    assert_success(&client.answer(&restored).await);
    assert_eq!(client.status().await.0, "connected");
    assert_eq!(env.bus.unrestored_epoch(&client.user).await.unwrap(), None);
}
