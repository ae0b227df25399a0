//! A draining gateway finishes pending commands and closes its sockets over the drain window.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway::Settings;
use protocol::cluster::job::JobOutcome;
use protocol::json::Json;
use serde_json::json;
use testkit::client::http::Request;
use testkit::{Native, SocketIo, wait};
use tokio::net::TcpStream;

use crate::test_gateway::TestGateway;
use crate::worker::{Worker, reply};

fn within(window: Duration) -> impl FnOnce(&mut Settings) {
    move |settings| settings.drain_window = window
}

#[tokio::test]
async fn drain_closes_sockets_with_reconnect_hint_and_without_disconnect_packet() {
    let gateway = TestGateway::with(within(Duration::from_millis(500))).await;
    let token = gateway.token("u");
    let socketio = SocketIo::connect(&gateway.endpoint, &token).await.unwrap();
    let native = Native::connect(&gateway.endpoint, &token).await.unwrap();
    let addr = gateway.endpoint.addr();
    let report = gateway.drain(Duration::from_secs(20)).await;
    assert!(report.is_clean(), "{report}");
    for socket in [&*socketio, &*native] {
        let closed = socket.closed().await;
        assert_eq!(closed.code, 1012);
        let hint: u64 = closed
            .reason
            .strip_prefix("restart; reconnect-after-ms=")
            .unwrap()
            .parse()
            .unwrap();
        assert!(hint <= 2_000, "{closed}");
    }
    assert!(!socketio.received_disconnect(), "the client reconnects by itself");
    assert!(TcpStream::connect(addr).await.is_err(), "the port is free");
}

#[tokio::test]
async fn drain_waits_for_pending_commands() {
    let gateway = TestGateway::with(within(Duration::ZERO)).await;
    let worker = Worker::answering(&gateway, |_| None);
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let idle = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    client.emit("account:list", json!({})).await;
    wait::until_true("the job to be taken", wait::deadline(), async || worker.done() == 1).await;
    let (bus, job) = (Arc::clone(gateway.bus.inner()), worker.last());
    let drained = gateway.drain(Duration::from_secs(20));
    let answered = async {
        // The drain delay of both is zero. A socket without pending commands is closed immediately.
        assert_eq!(idle.closed().await.code, 1012);
        assert!(client.is_open());
        let data = Json::of(&json!({ "success": true }));
        reply(
            &*bus,
            &job,
            JobOutcome {
                error: None,
                leading_notice: None,
                secret: false,
                data,
            },
        )
        .await;
    };
    tokio::join!(drained, answered);
    assert_eq!(client.next_event("account:list_response").await.data["success"], true);
    assert_eq!(client.closed().await.code, 1012);
}

#[tokio::test]
async fn closes_are_spread_across_the_drain_window() {
    let gateway = TestGateway::with(within(Duration::from_secs(2))).await;
    let mut clients = Vec::new();
    for _ in 0..40 {
        clients.push(Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap());
    }
    let start = now();
    let drained = gateway.drain(Duration::from_secs(30));
    let watched = async {
        let mut open_at_half = 0;
        wait::until_true("half of the window", wait::deadline(), async || {
            start.elapsed() >= Duration::from_secs(1)
        })
        .await;
        for client in &clients {
            open_at_half += usize::from(client.is_open());
        }
        open_at_half
    };
    let (report, open_at_half) = tokio::join!(drained, watched);
    assert!(report.is_clean(), "{report}");
    // Fewer than 5 or more than 35 of 40 uniform delays fall into one half once in a million runs.
    assert!(
        (5..=35).contains(&open_at_half),
        "{open_at_half} of 40 were open at half of the window"
    );
}

#[tokio::test]
async fn draining_gateway_refuses_new_sockets() {
    let gateway = TestGateway::with(within(Duration::from_secs(2))).await;
    let _socket = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let readiness = gateway.readiness.clone();
    let mut early = gateway.endpoint.open().await.unwrap();
    let drained = gateway.drain(Duration::from_secs(20));
    let refused = async {
        wait::until_true("the node to drain", wait::deadline(), async || {
            readiness.waiting_for() == ["draining"]
        })
        .await;
        early
            .http(&Request::upgrade("/socket.io/?EIO=4&transport=websocket"))
            .await
    };
    let (report, refused) = tokio::join!(drained, refused);
    assert!(report.is_clean(), "{report}");
    // A connection that was idle when the drain began is closed; one with a request gets its 503.
    assert!(refused.map_or(true, |response| response.status == 503));
}

#[expect(clippy::disallowed_methods, reason = "a test may look at the wall's clock")]
fn now() -> Instant {
    Instant::now()
}
