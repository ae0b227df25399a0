//! Batching of feed events: they are sent together, and no message overtakes them.

use std::time::Duration;

use protocol::account::AccountType;
use serde_json::{Value, json};
use testkit::client::frame::Frame;
use testkit::client::http::Request;
use testkit::client::raw::Wire;
use testkit::{Native, SocketIo};

use crate::test_gateway::TestGateway;

/// Starts a gateway whose batches are sent only when another message flushes them.
async fn with_long_batches() -> TestGateway {
    TestGateway::with(|settings| {
        settings.batch_interval = Duration::from_secs(3_600);
        settings.drain_window = Duration::ZERO;
    })
    .await
}

/// Opens a native socket at frame level.
async fn live(gateway: &TestGateway, protocol: &str) -> Wire {
    let mut wire = gateway.endpoint.open().await.unwrap();
    let request = Request::upgrade("/ws").header("Sec-WebSocket-Protocol", protocol);
    wire.upgrade(&request.bearer(&gateway.token("u"))).await.unwrap();
    let Frame { payload, .. } = wire.next_frame().await.unwrap();
    assert!(payload.windows(5).any(|word| word == b"ready"));
    wire
}

/// Publishes a batch of three account updates, two of them for one account, and then an event that flushes it.
async fn publish_batch(gateway: &TestGateway) {
    for account in [AccountType::Github, AccountType::Discord, AccountType::Github] {
        gateway.publish_syncing("u", account).await;
    }
    gateway.publish("u", AccountType::Telegram).await;
}

fn summary(frame: &Value) -> (Value, Value, u64) {
    let data = &frame["data"];
    let offset = frame["offset"].as_str().unwrap();
    let seq = offset.rsplit('-').next().unwrap().parse().unwrap();
    (data["accountType"].clone(), data["status"].clone(), seq)
}

#[tokio::test]
async fn native_socket_receives_batch_as_one_array_before_the_flushing_message() {
    let gateway = with_long_batches().await;
    let mut json = live(&gateway, "postern.v1.json").await;
    let mut msgpack = live(&gateway, "postern.v1.msgpack").await;
    publish_batch(&gateway).await;
    let mut received = Vec::new();
    for _ in 0..2 {
        let text: Value = serde_json::from_slice(&json.next_frame().await.unwrap().payload).unwrap();
        let binary: Value = rmp_serde::from_slice(&msgpack.next_frame().await.unwrap().payload).unwrap();
        assert_eq!(text, binary);
        received.push(text);
    }
    let [batch, alone] = received.try_into().unwrap();
    let batch: Vec<_> = batch.as_array().unwrap().iter().map(summary).collect();
    assert_eq!(
        batch,
        [
            (json!("discord"), json!("syncing"), 2),
            (json!("github"), json!("syncing"), 3)
        ],
        "the second sync of github covers the first"
    );
    assert_eq!(summary(&alone), (json!("telegram"), json!("connected"), 4));
}

#[tokio::test]
async fn socketio_client_receives_batched_events_individually() {
    let gateway = with_long_batches().await;
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    publish_batch(&gateway).await;
    let mut received = Vec::new();
    for _ in 0..3 {
        received.push(client.next_event("account:status_changed").await.data["accountType"].clone());
    }
    assert_eq!(received, ["discord", "github", "telegram"]);
}

#[tokio::test]
async fn client_with_batching_disabled_receives_events_immediately() {
    let gateway = with_long_batches().await;
    let auth = json!({ "token": gateway.token("u"), "batching": false });
    let unbatched = Native::to(&gateway.endpoint).auth(auth).connect().await.unwrap();
    let waiting = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    gateway.publish_syncing("u", AccountType::Github).await;
    assert_eq!(unbatched.next().await.data["status"], "syncing");
    assert!(waiting.unread().is_empty());

    // A reply flushes the batch and comes after it.
    waiting.request("account:teleport", json!({})).await;
    assert_eq!(waiting.unread().len(), 1);
}

#[tokio::test]
async fn batch_is_sent_after_the_batch_interval() {
    let gateway = TestGateway::with(|settings| settings.batch_interval = Duration::from_millis(300)).await;
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    for _ in 0..2 {
        gateway.publish_syncing("u", AccountType::Github).await;
        assert_eq!(client.next().await.data["status"], "syncing");
    }
}

#[tokio::test]
async fn batch_is_sent_before_close_on_drain() {
    let gateway = with_long_batches().await;
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let neighbour = Native::to(&gateway.endpoint)
        .auth(json!({ "token": gateway.token("u"), "batching": false }))
        .connect()
        .await
        .unwrap();
    gateway.publish_syncing("u", AccountType::Github).await;
    neighbour.next().await;
    gateway.drain(Duration::from_secs(30)).await;
    assert_eq!(client.next().await.data["accountType"], "github");
}
