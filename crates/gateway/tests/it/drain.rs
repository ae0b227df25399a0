//! A gateway that stops answers what it has taken and sends its clients on, one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway::Settings;
use protocol::cluster::job::JobOutcome;
use protocol::json::Json;
use serde_json::json;
use testkit::client::http::Request;
use testkit::{Native, SocketIo, wait};
use tokio::net::TcpStream;

use crate::house::House;
use crate::worker::{Worker, reply};

fn within(window: Duration) -> impl FnOnce(&mut Settings) {
    move |settings| settings.drain_window = window
}

#[tokio::test]
async fn clients_are_sent_on_with_a_hint_and_without_dismissal() {
    let house = House::with(within(Duration::from_millis(500))).await;
    let token = house.token("u");
    let socketio = SocketIo::connect(&house.endpoint, &token).await.unwrap();
    let native = Native::connect(&house.endpoint, &token).await.unwrap();
    let addr = house.endpoint.addr();
    let report = house.drain(Duration::from_secs(20)).await;
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
    assert!(!socketio.received_disconnect(), "it comes back by itself");
    assert!(TcpStream::connect(addr).await.is_err(), "the port is free");
}

#[tokio::test]
async fn what_is_under_way_is_answered_first() {
    let house = House::with(within(Duration::ZERO)).await;
    let worker = Worker::answering(&house, |_| None);
    let client = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let idle = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    client.emit("account:list", json!({})).await;
    wait::until_true("the job to be taken", wait::deadline(), async || worker.done() == 1).await;
    let (line, job) = (Arc::clone(&house.line), worker.last());
    let drained = house.drain(Duration::from_secs(20));
    let answered = async {
        // Both had their turn at once; who waits for nothing is gone.
        assert_eq!(idle.closed().await.code, 1012);
        assert!(client.is_open());
        let data = Json::of(&json!({ "success": true }));
        reply(
            &*line,
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
async fn the_closes_are_spread_over_the_window() {
    let house = House::with(within(Duration::from_secs(2))).await;
    let mut clients = Vec::new();
    for _ in 0..40 {
        clients.push(Native::connect(&house.endpoint, &house.token("u")).await.unwrap());
    }
    let start = now();
    let drained = house.drain(Duration::from_secs(30));
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
    // Of 40 even draws fewer than 5 or more than 35 fall into one half once in a million runs.
    assert!(
        (5..=35).contains(&open_at_half),
        "{open_at_half} of 40 were open at half of the window"
    );
}

#[tokio::test]
async fn a_draining_gateway_takes_no_new_sockets() {
    let house = House::with(within(Duration::from_secs(2))).await;
    let _socket = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let readiness = house.readiness.clone();
    let mut early = house.endpoint.open().await.unwrap();
    let drained = house.drain(Duration::from_secs(20));
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
    // A connection that was idle when the drain began is closed; one that was not gets its 503.
    assert!(refused.map_or(true, |response| response.status == 503));
}

#[expect(clippy::disallowed_methods, reason = "a test may look at the wall's clock")]
fn now() -> Instant {
    Instant::now()
}
