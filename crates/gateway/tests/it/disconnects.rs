//! An abrupt disconnect releases all resources of its connection.

use testkit::client::frame::Frame;
use testkit::client::http::Request;

use crate::test_gateway::TestGateway;

const OPEN: &str = "postern_gateway_sockets{dialect=\"native_json\"}";
const PENDING: &str = "postern_gateway_pending_connections";

/// Returns the beginning of a frame.
fn half() -> Vec<u8> {
    Frame::text("x".repeat(1_000)).bytes()[..500].to_vec()
}

async fn assert_nothing_is_left(gateway: &TestGateway) {
    gateway.metric_is(OPEN, 0.0).await;
    gateway.metric_is(PENDING, 0.0).await;
    testkit::wait::until_true("the user to be left alone", testkit::wait::deadline(), async || {
        !gateway.bus.is_subscribed("u")
    })
    .await;
}

#[tokio::test]
async fn reset_within_a_frame_releases_all_resources() {
    let gateway = TestGateway::new().await;
    for _ in 0..5 {
        let mut wire = gateway.wire("u").await;
        gateway.metric_is(OPEN, 1.0).await;
        wire.send(&half()).await.unwrap();
        wire.reset();
        assert_nothing_is_left(&gateway).await;
    }
}

#[tokio::test]
async fn eof_without_close_frame_releases_all_resources() {
    let gateway = TestGateway::new().await;
    for _ in 0..5 {
        let mut wire = gateway.wire("u").await;
        wire.send(&half()).await.unwrap();
        drop(wire);
        assert_nothing_is_left(&gateway).await;
    }
}

#[tokio::test]
async fn half_close_ends_the_connection() {
    let gateway = TestGateway::new().await;
    for politely in [true, false] {
        let mut wire = gateway.wire("u").await;
        wire.shutdown_write(politely).await.unwrap();
        wire.read_to_end().await;
        assert_nothing_is_left(&gateway).await;
    }
}

#[tokio::test]
async fn disconnect_during_handshake_releases_all_resources() {
    let gateway = TestGateway::new().await;
    for stage in 0..6 {
        match stage {
            0 => drop(gateway.endpoint.tcp().await.unwrap()),
            1 => gateway.endpoint.open().await.unwrap().reset(),
            2 => {
                let mut wire = gateway.endpoint.open().await.unwrap();
                wire.send(b"GET /ws HTTP/1.1\r\nHo").await.unwrap();
                wire.reset();
            }
            3 => {
                let mut wire = gateway.endpoint.open().await.unwrap();
                wire.send(b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: x\r\nContent-Length: 9\r\n\r\nx")
                    .await
                    .unwrap();
                wire.reset();
            }
            4 => {
                let mut wire = gateway.endpoint.open().await.unwrap();
                let request = Request::upgrade("/ws").header("Sec-WebSocket-Protocol", "postern.v1.json");
                wire.upgrade(&request).await.unwrap();
                wire.send(&half()).await.unwrap();
                wire.reset();
            }
            _ => {
                let mut wire = gateway.endpoint.open().await.unwrap();
                wire.shutdown_write(false).await.unwrap();
                wire.read_to_end().await;
            }
        }
        assert_nothing_is_left(&gateway).await;
    }
}
