//! A draining gateway finishes pending commands and closes its sockets over the drain window.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use gateway::Settings;
use http::{Method, Response};
use protocol::cluster::job::JobOutcome;
use protocol::json::Json;
use serde_json::json;
use testkit::client::http::Request;
use testkit::{Native, SocketIo, wait};
use tokio::net::TcpStream;
use tower::ServiceExt;

use crate::test_gateway::{TestGateway, internal_api};
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
        // The close delay of both is zero. A socket without pending commands is closed immediately.
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
    let (report, ()) = tokio::join!(drained, answered);
    let expected = "2 sockets handed to other gateways (pending commands answered on 1, unanswered on 0), nothing cut";
    assert_eq!(report.to_string(), expected);
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
        wait::until_true("the node to drain", wait::deadline(), async || readiness.is_draining()).await;
        early
            .http(&Request::upgrade("/socket.io/?EIO=4&transport=websocket"))
            .await
    };
    let (report, refused) = tokio::join!(drained, refused);
    assert!(report.is_clean(), "{report}");
    // A connection that was idle when the drain began is closed; one with a request gets its 503.
    assert!(refused.map_or(true, |response| response.status == 503));
}

#[tokio::test]
async fn draining_internal_api_answers_pending_requests_and_refuses_new_ones() {
    let gateway = TestGateway::with(|settings| {
        settings.drain_window = Duration::ZERO;
        settings.internal_api = Some(internal_api(TOKEN));
    })
    .await;
    let worker = Worker::answering(&gateway, |_| None);
    let (api, bus) = (gateway.internal.clone(), Arc::clone(gateway.bus.inner()));
    let _tasks = gateway.tasks.clone();
    let before = request(&api, Method::GET, "/v1/users/u/connections").await;
    assert_eq!((before.status().as_u16(), header(&before, "connection")), (200, ""));

    let pending = request(&api, Method::DELETE, "/v1/users/u/sessions");
    let drained = async {
        wait::until_true("the job to be taken", wait::deadline(), async || worker.done() == 1).await;
        gateway.drain(Duration::from_secs(20)).await
    };
    let refused = async {
        let refused = wait::until("a request to be refused", wait::deadline(), async || {
            let response = request(&api, Method::GET, "/v1/users/u/connections").await;
            (response.status() == 503).then_some(response)
        })
        .await;
        let data = Json::of(&json!({ "sessionsEnded": 2 }));
        let outcome = JobOutcome {
            error: None,
            leading_notice: None,
            secret: false,
            data,
        };
        reply(&*bus, &worker.last(), outcome).await;
        refused
    };
    let (pending, report, refused) = tokio::join!(pending, drained, refused);
    assert!(report.is_clean(), "{report}");
    assert_eq!(
        (header(&refused, "retry-after"), header(&refused, "connection")),
        ("1", "close")
    );
    assert_eq!(
        (pending.status().as_u16(), header(&pending, "connection")),
        (200, "close")
    );
}

/// Sends a request to the internal API.
async fn request(api: &axum::Router, method: Method, path: &str) -> Response<Body> {
    let request = http::Request::builder().method(method).uri(path);
    let request = request.header("Authorization", format!("Bearer {TOKEN}"));
    api.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

/// Returns a header of a response; empty if it is missing.
fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

const TOKEN: &str = "internal-token";

#[expect(clippy::disallowed_methods, reason = "a test may look at the wall's clock")]
fn now() -> Instant {
    Instant::now()
}
