//! What can wait is sent together, and nothing overtakes it.

use std::time::Duration;

use protocol::account::AccountType;
use serde_json::{Value, json};
use testkit::client::frame::Frame;
use testkit::client::http::Request;
use testkit::client::raw::Wire;
use testkit::{Native, SocketIo};

use crate::house::House;

/// A gateway on which what waits leaves only because something else does.
async fn patient() -> House {
    House::with(|settings| {
        settings.batch_interval = Duration::from_secs(3_600);
        settings.drain_window = Duration::ZERO;
    })
    .await
}

/// A plain WebSocket whose messages are seen as they are.
async fn live(house: &House, protocol: &str) -> Wire {
    let mut wire = house.endpoint.open().await.unwrap();
    let request = Request::upgrade("/ws").header("Sec-WebSocket-Protocol", protocol);
    wire.upgrade(&request.bearer(&house.token("u"))).await.unwrap();
    let Frame { payload, .. } = wire.next_frame().await.unwrap();
    assert!(payload.windows(5).any(|word| word == b"ready"));
    wire
}

/// What a socket hears of this house: of three accounts one is synced twice, and then another is connected.
async fn busy(house: &House) {
    for account in [AccountType::Github, AccountType::Discord, AccountType::Github] {
        house.publish_syncing("u", account).await;
    }
    house.publish("u", AccountType::Telegram).await;
}

fn summary(frame: &Value) -> (Value, Value, u64) {
    let data = &frame["data"];
    let offset = frame["offset"].as_str().unwrap();
    let seq = offset.rsplit('-').next().unwrap().parse().unwrap();
    (data["accountType"].clone(), data["status"].clone(), seq)
}

#[tokio::test]
async fn a_plain_websocket_hears_a_batch_as_one_array_before_what_made_it_leave() {
    let house = patient().await;
    let mut json = live(&house, "postern.v1.json").await;
    let mut msgpack = live(&house, "postern.v1.msgpack").await;
    busy(&house).await;
    let mut heard = Vec::new();
    for _ in 0..2 {
        let text: Value = serde_json::from_slice(&json.next_frame().await.unwrap().payload).unwrap();
        let binary: Value = rmp_serde::from_slice(&msgpack.next_frame().await.unwrap().payload).unwrap();
        assert_eq!(text, binary);
        heard.push(text);
    }
    let [batch, alone] = heard.try_into().unwrap();
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
async fn a_socket_io_client_hears_the_same_events_one_by_one() {
    let house = patient().await;
    let client = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    busy(&house).await;
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(client.next_event("account:status_changed").await.data["accountType"].clone());
    }
    assert_eq!(heard, ["discord", "github", "telegram"]);
}

#[tokio::test]
async fn a_client_that_does_not_want_batches_waits_for_nothing() {
    let house = patient().await;
    let auth = json!({ "token": house.token("u"), "batching": false });
    let impatient = Native::to(&house.endpoint).auth(auth).connect().await.unwrap();
    let waiting = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    house.publish_syncing("u", AccountType::Github).await;
    assert_eq!(impatient.next().await.data["status"], "syncing");
    assert!(waiting.unread().is_empty());

    // An answer flushes too, and comes after.
    waiting.request("account:teleport", json!({})).await;
    assert_eq!(waiting.unread().len(), 1);
}

#[tokio::test]
async fn what_waits_leaves_by_itself() {
    let house = House::with(|settings| settings.batch_interval = Duration::from_millis(300)).await;
    let client = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    for _ in 0..2 {
        house.publish_syncing("u", AccountType::Github).await;
        assert_eq!(client.next().await.data["status"], "syncing");
    }
}

#[tokio::test]
async fn what_waits_is_not_lost_when_the_gateway_drains() {
    let house = patient().await;
    let client = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let neighbour = Native::to(&house.endpoint)
        .auth(json!({ "token": house.token("u"), "batching": false }))
        .connect()
        .await
        .unwrap();
    house.publish_syncing("u", AccountType::Github).await;
    neighbour.next().await;
    house.drain(Duration::from_secs(30)).await;
    assert_eq!(client.next().await.data["accountType"], "github");
}
