//! Rate limits of connections and messages; a flood closes its socket.

use gateway::Rate;
use serde_json::json;
use testkit::client::Refused;
use testkit::client::frame::Frame;
use testkit::client::http::Request;
use testkit::{Native, SocketIo, wait};
use tokio::time::Instant;

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

#[tokio::test]
async fn connect_rate_drops_connections_of_an_address() {
    let gateway = TestGateway::with(|settings| settings.connect_rate = Rate::parse("1/3").unwrap()).await;
    for _ in 0..3 {
        gateway.endpoint.open().await.unwrap();
    }
    assert!(gateway.endpoint.open().await.is_err());
    gateway
        .metric_is("postern_gateway_refusals_total{reason=\"connect_rate\"}", 1.0)
        .await;
    wait::until_true("a free permit", wait::deadline(), async || {
        gateway.endpoint.open().await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn pending_connections_are_limited() {
    let gateway = TestGateway::with(|settings| {
        settings.connect_rate = None;
        settings.pending_connections = 2;
    })
    .await;
    let live = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let first = Native::to(&gateway.endpoint).open().await.unwrap();
    let _second = Native::to(&gateway.endpoint).open().await.unwrap();
    assert!(
        gateway.endpoint.open().await.is_err(),
        "two are pending, a third is dropped"
    );
    first.close().await;
    wait::until_true("a free permit", wait::deadline(), async || {
        gateway.endpoint.open().await.is_ok()
    })
    .await;
    assert!(live.is_open(), "an authenticated socket has released its permit");
}

#[tokio::test]
async fn event_rate_refuses_with_retry_after() {
    let gateway = TestGateway::with(|settings| settings.event_rate = Rate::parse("1/2").unwrap()).await;
    let worker = Worker::succeeding(&gateway);
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    // CONNECT took the first of the two tokens.
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
async fn user_connect_rate_closes_sockets_of_that_user_only() {
    let gateway = TestGateway::with(|settings| settings.user_connect_rate = Rate::parse("1/8").unwrap()).await;
    let started = Instant::now();
    let mut come = 0;
    let refused = loop {
        match SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await {
            Ok(_) => come += 1,
            Err(refused) => break refused,
        }
        assert!(come <= 8 + started.elapsed().as_secs() + 1, "{come} connected");
    };
    assert!(come >= 8, "{come} connected");
    assert!(
        matches!(&refused, Refused::Closed(closed) if closed.code == 4429),
        "{refused:?}"
    );
    SocketIo::connect(&gateway.endpoint, &gateway.token("v")).await.unwrap();
}

#[tokio::test]
async fn repeated_connect_on_one_socket_counts_for_user_connect_rate() {
    let gateway = TestGateway::with(|settings| settings.user_connect_rate = Rate::parse("1/8").unwrap()).await;
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    leave_and_connect_until_closed(&gateway, &client).await;
    assert_eq!(client.closed().await.code, 4429);
}

#[tokio::test]
async fn repeated_connect_on_one_socket_counts_for_connect_rate() {
    let gateway = TestGateway::with(|settings| settings.connect_rate = Rate::parse("1/4").unwrap()).await;
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    leave_and_connect_until_closed(&gateway, &client).await;
    assert_eq!(client.closed().await.code, 4429);
}

#[tokio::test]
async fn disconnected_namespace_counts_as_pending_connection() {
    let gateway = TestGateway::with(|settings| {
        settings.connect_rate = None;
        settings.pending_connections = 1;
    })
    .await;
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    client.send_text("41").await;
    let pending = "postern_gateway_pending_connections";
    gateway.metric_is(pending, 1.0).await;
    assert!(gateway.endpoint.open().await.is_err(), "the only permit is taken");
    let before = client.connect_answer();
    client
        .send_text(format!("40{{\"token\":\"{}\"}}", gateway.token("u")))
        .await;
    wait::until_true("an answer to CONNECT", wait::deadline(), async || {
        client.connect_answer() != before
    })
    .await;
    gateway.metric_is(pending, 0.0).await;
}

/// Sends DISCONNECT and CONNECT on one socket until the server closes it.
async fn leave_and_connect_until_closed(gateway: &TestGateway, client: &SocketIo) {
    for _ in 0..100 {
        let before = client.connect_answer();
        client.send_text("41").await;
        client
            .send_text(format!("40{{\"token\":\"{}\"}}", gateway.token("u")))
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
async fn message_flood_closes_its_socket_only() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    let neighbour = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let socketio = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
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
async fn ping_or_pong_flood_closes_its_socket_only() {
    let gateway = TestGateway::new().await;
    let _worker = Worker::succeeding(&gateway);
    let neighbour = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    for opcode in [9, 10] {
        let mut flood = gateway.wire("u").await;
        let frames: Vec<u8> = (0..400).flat_map(|_| Frame::new(opcode, "x").bytes()).collect();
        flood.send(&frames).await.unwrap();
        assert_eq!(flood.closed().await.code, 4429, "opcode {opcode}");
    }
    let mut flood = gateway.endpoint.open().await.unwrap();
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
async fn forwarded_headers_do_not_change_the_client_address() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    for header in ["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP"] {
        let client = Native::to(&gateway.endpoint)
            .header(header, "for=203.0.113.9")
            .bearer(&gateway.token("u"));
        let client = client.connect().await.unwrap();
        client.request("account:list", json!({})).await;
        let origin = worker.last().origin.unwrap();
        assert_eq!(origin.address, "127.0.0.1", "{header}");
    }
}
