//! A worker dies, or is stopped for longer than its lease, in the middle of a sync.

use serde_json::{Value, json};
use simulator::{Fault, Kind, NewNotification, Platform, Route};
use testkit::client::SocketIo;
use testkit::cluster::Cluster;
use testkit::wait;

use crate::stage::{POSTERN, Platforms, client, connect};

#[tokio::test]
async fn sync_of_a_killed_worker_is_finished_by_another_and_notified_once() {
    let (platforms, mut cluster, caller) = with_something_new().await;
    caller.emit("account:sync", account()).await;
    until_asked(&platforms).await;
    cluster.worker(0).kill().await;
    cluster.start_worker().await;
    assert_notified_once(&caller).await;
    assert_eq!(platforms.handle.release(), 0, "its request went with it");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// A scheduled sync: only its fencing token keeps the late worker from writing.
#[tokio::test]
async fn worker_stopped_beyond_its_sync_lease_writes_nothing_after_sigcont() {
    let (platforms, mut cluster, caller) = with_something_new().await;
    cluster.schema().sql("UPDATE accounts SET next_sync_at = now()").await;
    until_asked(&platforms).await;
    cluster.worker(0).pause();
    cluster.start_worker().await;
    let received = caller.next_event("notification:incoming").await;
    assert_eq!(received.data["content"], json!("look, @ada"));
    // The version of the row, as Postgres counts it.
    let rows = "SELECT xmin, row::text FROM accounts AS row";
    let before = cluster.schema().sql(rows).await;
    // The platform's response waits for the worker to continue.
    platforms.handle.release();
    cluster.worker(0).resume();
    wait::until_true("the late worker to see that it is late", wait::deadline(), async || {
        cluster.worker(0).logs().contains("scheduled sync failed")
    })
    .await;
    assert_eq!(cluster.schema().sql(rows).await, before);
    assert_eq!(sync(&caller).await["data"]["notifications"], json!(0));
    assert_eq!(notifications(&caller), 0);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// A platform with one notification, whose response will be blocked.
async fn with_something_new() -> (Platforms, Cluster, SocketIo) {
    let platforms = Platforms::start().await;
    let cluster = platforms
        .linked_to(Cluster::builder(POSTERN))
        .worker_env("POSTERN_LOG", "info,worker=debug")
        .start()
        .await;
    let caller = client(&cluster, 0, "GEN-001").await;
    let linked = caller
        .emit_with_ack("account:connect", connect("GEN-001", "test_code_ada"))
        .await;
    assert_eq!(linked["success"], true, "{linked}");
    platforms.watch_tokens(&cluster);
    assert_eq!(sync(&caller).await["success"], true);
    caller.next_event("account:sync_complete").await;
    platforms.handle.notify(NewNotification {
        login: "ada".to_owned(),
        title: "look, @ada".to_owned(),
        ..NewNotification::default()
    });
    let fault = Fault::once(Platform::Github, Route::Notifications, Kind::AwaitRelease);
    platforms.handle.fault(fault);
    (platforms, cluster, caller)
}

async fn until_asked(platforms: &Platforms) {
    wait::until_true("the platform to be asked", wait::deadline(), async || {
        !platforms.handle.snapshot().blocked.is_empty()
    })
    .await;
}

/// Asserts that the sync is answered, the notification arrives, and another sync finds none.
async fn assert_notified_once(caller: &SocketIo) {
    let answer = caller.next_event("account:sync_complete").await.data;
    assert_eq!(answer["data"]["notifications"], json!(1), "{answer}");
    let received = caller.next_event("notification:incoming").await;
    assert_eq!(received.data["content"], json!("look, @ada"));
    assert_eq!(sync(caller).await["data"]["notifications"], json!(0));
    assert_eq!(notifications(caller), 0);
}

async fn sync(caller: &SocketIo) -> Value {
    caller.emit_with_ack("account:sync", account()).await
}

/// Number of unread notifications.
fn notifications(caller: &SocketIo) -> usize {
    let unread = caller.unread();
    unread
        .iter()
        .filter(|event| event.name == "notification:incoming")
        .count()
}

fn account() -> Value {
    json!({ "userId": "GEN-001", "accountType": "github" })
}
