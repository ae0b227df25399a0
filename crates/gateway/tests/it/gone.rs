//! A peer that goes without a word leaves nothing behind.

use testkit::client::frame::Frame;
use testkit::client::http::Request;

use crate::house::House;

const OPEN: &str = "postern_gateway_sockets{dialect=\"native_json\"}";
const PENDING: &str = "postern_gateway_pending_connections";

/// The first bytes of a frame that does not end.
fn half() -> Vec<u8> {
    Frame::text("x".repeat(1_000)).bytes()[..500].to_vec()
}

async fn assert_nothing_is_left(house: &House) {
    house.metric_is(OPEN, 0.0).await;
    house.metric_is(PENDING, 0.0).await;
    testkit::wait::until_true("the user to be left alone", testkit::wait::deadline(), async || {
        !house.line.listens_for("u")
    })
    .await;
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_frame_frees_everything() {
    let house = House::new().await;
    for _ in 0..5 {
        let mut wire = house.wire("u").await;
        house.metric_is(OPEN, 1.0).await;
        wire.send(&half()).await.unwrap();
        wire.reset();
        assert_nothing_is_left(&house).await;
    }
}

#[tokio::test]
async fn an_end_without_a_close_frame_frees_everything() {
    let house = House::new().await;
    for _ in 0..5 {
        let mut wire = house.wire("u").await;
        wire.send(&half()).await.unwrap();
        drop(wire);
        assert_nothing_is_left(&house).await;
    }
}

#[tokio::test]
async fn half_an_end_ends_the_whole_connection() {
    let house = House::new().await;
    for politely in [true, false] {
        let mut wire = house.wire("u").await;
        wire.shutdown_write(politely).await.unwrap();
        wire.read_to_end().await;
        assert_nothing_is_left(&house).await;
    }
}

#[tokio::test]
async fn an_end_on_the_way_in_frees_everything() {
    let house = House::new().await;
    for stage in 0..6 {
        match stage {
            0 => drop(house.endpoint.tcp().await.unwrap()),
            1 => house.endpoint.open().await.unwrap().reset(),
            2 => {
                let mut wire = house.endpoint.open().await.unwrap();
                wire.send(b"GET /ws HTTP/1.1\r\nHo").await.unwrap();
                wire.reset();
            }
            3 => {
                let mut wire = house.endpoint.open().await.unwrap();
                wire.send(b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: x\r\nContent-Length: 9\r\n\r\nx")
                    .await
                    .unwrap();
                wire.reset();
            }
            4 => {
                let mut wire = house.endpoint.open().await.unwrap();
                let request = Request::upgrade("/ws").header("Sec-WebSocket-Protocol", "postern.v1.json");
                wire.upgrade(&request).await.unwrap();
                wire.send(&half()).await.unwrap();
                wire.reset();
            }
            _ => {
                let mut wire = house.endpoint.open().await.unwrap();
                wire.shutdown_write(false).await.unwrap();
                wire.read_to_end().await;
            }
        }
        assert_nothing_is_left(&house).await;
    }
}
