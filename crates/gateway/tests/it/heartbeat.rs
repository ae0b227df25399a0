//! Ping timeouts close dead sockets and no others.

use std::time::Duration;

use gateway::{Heartbeat, Settings};
use serde_json::json;
use testkit::client::frame::Frame;
use testkit::client::http::Request;
use testkit::{Native, SocketIo};

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

fn short_heartbeat(settings: &mut Settings) {
    settings.heartbeat = Heartbeat {
        interval: Duration::from_millis(200),
        timeout: Duration::from_millis(400),
    };
}

#[tokio::test]
async fn peer_answering_pings_stays_connected() {
    let gateway = TestGateway::with(short_heartbeat).await;
    let _worker = Worker::succeeding(&gateway);
    let socketio = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    for _ in 0..4 {
        socketio.next_ping().await;
        native.next_ping().await;
    }
    assert_eq!(socketio.emit_with_ack("account:list", json!({})).await["success"], true);
    assert!(native.is_open());
}

#[tokio::test]
async fn socketio_ping_timeout_closes_without_disconnect_packet() {
    let gateway = TestGateway::with(short_heartbeat).await;
    let _worker = Worker::succeeding(&gateway);
    let client = SocketIo::to(&gateway.endpoint)
        .auth(json!({ "token": gateway.token("u") }))
        .ignoring_pings()
        .connect()
        .await
        .unwrap();
    client.next_ping().await;
    client.emit("account:list", json!({})).await;
    let closed = client.closed().await;
    assert_eq!(closed.code, 4408, "other messages do not count as pongs: {closed}");
    assert!(!client.received_disconnect());
}

#[tokio::test]
async fn native_ping_timeout_closes_the_socket() {
    let gateway = TestGateway::with(short_heartbeat).await;
    let mut wire = gateway.endpoint.open().await.unwrap();
    let request = Request::upgrade("/ws").header("Sec-WebSocket-Protocol", "postern.v1.json");
    wire.upgrade(&request.bearer(&gateway.token("u"))).await.unwrap();
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
