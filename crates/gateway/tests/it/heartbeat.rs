//! Dead peers are found, and no others.

use std::time::Duration;

use gateway::{Heartbeat, Settings};
use serde_json::json;
use testkit::client::frame::Frame;
use testkit::client::http::Request;
use testkit::{Native, SocketIo};

use crate::house::House;
use crate::worker::Worker;

fn hasty(settings: &mut Settings) {
    settings.heartbeat = Heartbeat {
        interval: Duration::from_millis(200),
        timeout: Duration::from_millis(400),
    };
}

#[tokio::test]
async fn a_peer_that_answers_stays() {
    let house = House::with(hasty).await;
    let _worker = Worker::obliging(&house);
    let socketio = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let native = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    for _ in 0..4 {
        socketio.next_ping().await;
        native.next_ping().await;
    }
    assert_eq!(socketio.emit_with_ack("account:list", json!({})).await["success"], true);
    assert!(native.is_open());
}

#[tokio::test]
async fn a_socketio_peer_that_does_not_answer_is_closed_and_not_dismissed() {
    let house = House::with(hasty).await;
    let _worker = Worker::obliging(&house);
    let client = SocketIo::to(&house.endpoint)
        .auth(json!({ "token": house.token("u") }))
        .ignoring_pings()
        .connect()
        .await
        .unwrap();
    client.next_ping().await;
    client.emit("account:list", json!({})).await;
    let closed = client.closed().await;
    assert_eq!(closed.code, 4408, "whatever else it says: {closed}");
    assert!(!client.received_disconnect());
}

#[tokio::test]
async fn a_plain_websocket_that_does_not_answer_is_closed() {
    let house = House::with(hasty).await;
    let mut wire = house.endpoint.open().await.unwrap();
    let request = Request::upgrade("/ws").header("Sec-WebSocket-Protocol", "postern.v1.json");
    wire.upgrade(&request.bearer(&house.token("u"))).await.unwrap();
    assert!(
        wire.next_frame()
            .await
            .unwrap()
            .payload
            .starts_with(br#"{"event":"ready""#)
    );
    assert_eq!(wire.next_frame().await, Some(Frame::new(9, "").unmasked()));
    assert_eq!(wire.closed().await.code, 4408);
}
