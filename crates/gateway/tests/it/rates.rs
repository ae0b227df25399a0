//! Who comes or speaks too often is held back, and in the end not heard at all.

use gateway::Rate;
use serde_json::json;
use testkit::client::Refused;
use testkit::client::frame::Frame;
use testkit::client::http::Request;
use testkit::{Native, SocketIo, wait};
use tokio::time::Instant;

use crate::house::House;
use crate::worker::Worker;

#[tokio::test]
async fn an_address_that_connects_too_often_is_dropped() {
    let house = House::with(|settings| settings.connect_rate = Rate::parse("1/3").unwrap()).await;
    for _ in 0..3 {
        house.endpoint.open().await.unwrap();
    }
    assert!(house.endpoint.open().await.is_err());
    house
        .metric_is("postern_gateway_refusals_total{reason=\"connect_rate\"}", 1.0)
        .await;
    wait::until_true("a place", wait::deadline(), async || {
        house.endpoint.open().await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn no_more_than_so_many_are_on_their_way_in() {
    let house = House::with(|settings| {
        settings.connect_rate = None;
        settings.pending_connections = 2;
    })
    .await;
    let live = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let first = Native::to(&house.endpoint).open().await.unwrap();
    let _second = Native::to(&house.endpoint).open().await.unwrap();
    assert!(
        house.endpoint.open().await.is_err(),
        "two prove nothing, a third is dropped"
    );
    first.close().await;
    wait::until_true("a place", wait::deadline(), async || {
        house.endpoint.open().await.is_ok()
    })
    .await;
    assert!(live.is_open(), "who has a token has given its place back");
}

#[tokio::test]
async fn a_socket_that_says_too_much_is_told_to_wait() {
    let house = House::with(|settings| settings.event_rate = Rate::parse("1/2").unwrap()).await;
    let worker = Worker::obliging(&house);
    let client = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    // CONNECT was the first of the two.
    assert_eq!(client.emit_with_ack("account:list", json!({})).await["success"], true);
    let refused = client.emit_with_ack("account:list", json!({})).await;
    assert_eq!(
        (&refused["error"], &refused["retryAfter"]),
        (&json!("rate_limited"), &json!(1))
    );
    let unknown = client.emit_with_ack("account:teleport", json!({})).await;
    assert_eq!(unknown["error"], "rate_limited");
    assert_eq!(worker.done(), 1);
}

#[tokio::test]
async fn a_user_that_comes_too_often_is_closed_and_others_are_not() {
    let house = House::with(|settings| settings.user_connect_rate = Rate::parse("1/8").unwrap()).await;
    let begun = Instant::now();
    let mut come = 0;
    let refused = loop {
        match SocketIo::connect(&house.endpoint, &house.token("u")).await {
            Ok(_) => come += 1,
            Err(refused) => break refused,
        }
        assert!(come <= 8 + begun.elapsed().as_secs() + 1, "{come} have come");
    };
    assert!(come >= 8, "{come} have come");
    assert!(
        matches!(&refused, Refused::Closed(closed) if closed.code == 4429),
        "{refused:?}"
    );
    SocketIo::connect(&house.endpoint, &house.token("v")).await.unwrap();
}

#[tokio::test]
async fn whoever_leaves_and_connects_again_on_one_socket_has_come_again() {
    let house = House::with(|settings| settings.user_connect_rate = Rate::parse("1/8").unwrap()).await;
    let client = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    leave_and_connect_until_closed(&house, &client).await;
    assert_eq!(client.closed().await.code, 4429);
}

#[tokio::test]
async fn whoever_leaves_and_connects_again_counts_for_its_address() {
    let house = House::with(|settings| settings.connect_rate = Rate::parse("1/4").unwrap()).await;
    let client = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    leave_and_connect_until_closed(&house, &client).await;
    assert_eq!(client.closed().await.code, 4429);
}

#[tokio::test]
async fn whoever_has_left_is_on_its_way_in_again() {
    let house = House::with(|settings| {
        settings.connect_rate = None;
        settings.pending_connections = 1;
    })
    .await;
    let client = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    client.send_text("41").await;
    let pending = "postern_gateway_pending_connections";
    house.metric_is(pending, 1.0).await;
    assert!(house.endpoint.open().await.is_err(), "the only permit is taken");
    let before = client.connect_answer();
    client
        .send_text(format!("40{{\"token\":\"{}\"}}", house.token("u")))
        .await;
    wait::until_true("an answer to CONNECT", wait::deadline(), async || {
        client.connect_answer() != before
    })
    .await;
    house.metric_is(pending, 0.0).await;
}

/// Leaves and connects again on one socket, for as long as it is let.
async fn leave_and_connect_until_closed(house: &House, client: &SocketIo) {
    for _ in 0..100 {
        let before = client.connect_answer();
        client.send_text("41").await;
        client
            .send_text(format!("40{{\"token\":\"{}\"}}", house.token("u")))
            .await;
        wait::until_true("an answer to CONNECT, or the end", wait::deadline(), async || {
            client.connect_answer() != before || !client.is_open()
        })
        .await;
        if !client.is_open() {
            break;
        }
    }
}

#[tokio::test]
async fn a_flood_ends_its_socket_and_no_other() {
    let house = House::new().await;
    let worker = Worker::obliging(&house);
    let neighbour = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let native = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let socketio = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    for _ in 0..400 {
        native.emit("account:list", json!({})).await;
        socketio.emit("account:list", json!({})).await;
    }
    for socket in [&*native, &*socketio] {
        assert_eq!(socket.closed().await.code, 4429);
    }
    assert!(socketio.received_disconnect(), "it does not come back at once");
    assert!(worker.done() <= 2 * 64, "{} got through", worker.done());
    let extended = neighbour.request("security:extend_session", json!({})).await.data;
    assert_eq!(extended["success"], true, "{extended}");
}

#[tokio::test]
async fn a_flood_of_pings_or_of_pongs_ends_its_socket_and_no_other() {
    let house = House::new().await;
    let _worker = Worker::obliging(&house);
    let neighbour = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    for opcode in [9, 10] {
        let mut flood = house.wire("u").await;
        let frames: Vec<u8> = (0..400).flat_map(|_| Frame::new(opcode, "x").bytes()).collect();
        flood.send(&frames).await.unwrap();
        assert_eq!(flood.closed().await.code, 4429, "opcode {opcode}");
    }
    let mut flood = house.endpoint.open().await.unwrap();
    flood
        .upgrade(&Request::upgrade("/socket.io/?EIO=4&transport=websocket"))
        .await
        .unwrap();
    let pongs: Vec<u8> = (0..400).flat_map(|_| Frame::text("3").bytes()).collect();
    flood.send(&pongs).await.unwrap();
    assert_eq!(flood.closed().await.code, 4429, "pongs of Engine.IO");
    assert_eq!(neighbour.request("account:list", json!({})).await.data["success"], true);
}

#[tokio::test]
async fn headers_that_name_another_address_are_not_believed() {
    let house = House::new().await;
    let worker = Worker::obliging(&house);
    for header in ["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP"] {
        let client = Native::to(&house.endpoint)
            .header(header, "for=203.0.113.9")
            .bearer(&house.token("u"));
        let client = client.connect().await.unwrap();
        client.request("account:list", json!({})).await;
        let origin = worker.last().origin.unwrap();
        assert_eq!(origin.address, "127.0.0.1", "{header}");
    }
}
