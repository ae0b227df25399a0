//! A worker is gone, or stopped for longer than its turn lasts, in the middle of a sync.

use serde_json::{Value, json};
use simulator::{Fault, Kind, NewNotification, Platform, Route};
use testkit::client::SocketIo;
use testkit::cluster::Cluster;
use testkit::wait;

use crate::stage::{POSTERN, Platforms, client, connect};

#[tokio::test]
async fn a_sync_whose_worker_was_killed_is_finished_by_another_and_told_once() {
    let (platforms, mut cluster, caller) = with_something_new().await;
    caller.emit("account:sync", account()).await;
    until_asked(&platforms).await;
    cluster.worker(0).kill().await;
    cluster.start_worker().await;
    assert_told_once(&caller).await;
    assert_eq!(platforms.handle.release(), 0, "its request went with it");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// A sync that nobody asked for: nothing but its fence keeps the late worker from writing.
#[tokio::test]
async fn a_worker_stopped_for_longer_than_its_turn_writes_nothing_when_it_goes_on() {
    let (platforms, mut cluster, caller) = with_something_new().await;
    cluster.schema().sql("UPDATE accounts SET next_sync_at = now()").await;
    until_asked(&platforms).await;
    cluster.worker(0).pause();
    cluster.start_worker().await;
    let told = caller.next_event("notification:incoming").await;
    assert_eq!(told.data["content"], json!("look, @ada"));
    // The version of the row, as Postgres counts it.
    let rows = "SELECT xmin, row::text FROM accounts AS row";
    let before = cluster.schema().sql(rows).await;
    // What the platform has said waits for the worker when it goes on.
    platforms.handle.release();
    cluster.worker(0).resume();
    wait::until_true("the late worker to see that it is late", wait::deadline(), async || {
        cluster.worker(0).logs().contains("not synced")
    })
    .await;
    assert_eq!(cluster.schema().sql(rows).await, before);
    assert_eq!(sync(&caller).await["data"]["notifications"], json!(0));
    assert_eq!(notifications(&caller), 0);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// The platform has one notification, and the answer that tells of it will be held.
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
    let hold = Fault::once(Platform::Github, Route::Notifications, Kind::AwaitRelease);
    platforms.handle.fault(hold);
    (platforms, cluster, caller)
}

async fn until_asked(platforms: &Platforms) {
    wait::until_true("the platform to be asked", wait::deadline(), async || {
        !platforms.handle.snapshot().blocked.is_empty()
    })
    .await;
}

/// The sync is answered, what was new is told, and another sync finds nothing.
async fn assert_told_once(caller: &SocketIo) {
    let answer = caller.next_event("account:sync_complete").await.data;
    assert_eq!(answer["data"]["notifications"], json!(1), "{answer}");
    let told = caller.next_event("notification:incoming").await;
    assert_eq!(told.data["content"], json!("look, @ada"));
    assert_eq!(sync(caller).await["data"]["notifications"], json!(0));
    assert_eq!(notifications(caller), 0);
}

async fn sync(caller: &SocketIo) -> Value {
    caller.emit_with_ack("account:sync", account()).await
}

/// How many notifications have come that nobody has looked at.
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
