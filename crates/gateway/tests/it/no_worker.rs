//! Gateway whose lanes no worker serves: it answers `unavailable` at once, to whoever needs a worker, and serves the others.

use std::path::Path;

use protocol::code::CloseCode;
use protocol::id::UserId;
use serde_json::json;
use testkit::client::Refused;
use testkit::client::http::Request;
use testkit::node::Script;
use testkit::{Native, SocketIo, wait};

use crate::callback::{call_back, issue};
use crate::publish::{self, post};
use crate::test_gateway::TestGateway;
use crate::worker::Worker;
use testkit::log::Log;

const SERVED: &str = "postern_gateway_lane_served{lane=\"interactive\"}";
const CLOSED: &str = "postern_gateway_closes_total{code=\"1012\",reason=\"unavailable\"}";

#[tokio::test]
async fn commands_without_a_worker_are_unavailable_and_succeed_once_one_claims() {
    let (log, _guard) = Log::capture();
    let gateway = TestGateway::new().await;
    let _worker = Worker::succeeding(&gateway);
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    gateway.metric_is(SERVED, 1.0).await;
    gateway.bus.withdraw_workers(true);
    for _ in 0..5 {
        let answer = client.request("account:list", json!({})).await;
        assert_eq!(answer.data["error"], "unavailable");
    }
    gateway.metric_is(SERVED, 0.0).await;
    let began = log.lines_of("jobs of the interactive lane");
    assert_eq!(began.len(), 1, "{began:#?}");
    assert!(
        began[0].contains("WARN") && began[0].contains("no worker has claimed"),
        "{began:#?}"
    );

    gateway.bus.withdraw_workers(false);
    assert_eq!(client.request("account:list", json!({})).await.data["success"], true);
    wait::until_true("the end of the outage in the log", wait::deadline(), async || {
        log.lines_of("jobs of the interactive lane").len() == 2
    })
    .await;
    gateway.metric_is(SERVED, 1.0).await;
    assert!(log.lines_of("bus requests").is_empty(), "the bus was available");
}

#[tokio::test]
async fn new_sockets_without_a_worker_are_closed_at_once_as_unavailable() {
    let gateway = TestGateway::new().await;
    let known = Native::connect(&gateway.endpoint, &gateway.token("resident"))
        .await
        .unwrap();
    gateway.bus.withdraw_workers(true);
    let native = Native::to(&gateway.endpoint).auth(json!({ "token": gateway.token("u") }));
    let Err(Refused::Answered { data, closed }) = native.connect().await else {
        panic!("a session that the bus does not know needs a worker")
    };
    assert_eq!(
        (&data["event"], &data["error"]),
        (&json!("auth"), &json!("unavailable"))
    );
    let socketio = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await;
    let Err(Refused::Closed(at_once)) = socketio else {
        panic!("after a CONNECT_ERROR the official client does not reconnect: {socketio:?}")
    };
    for closed in [closed.unwrap(), at_once] {
        assert_eq!(closed.code, CloseCode::Restart.as_u16());
        assert!(
            closed.reason.starts_with("unavailable; reconnect-after-ms="),
            "{closed}"
        );
    }
    let resident = SocketIo::connect(&gateway.endpoint, &gateway.token("resident")).await;
    assert!(resident.is_ok() && known.is_open(), "a known session needs none");
}

#[tokio::test]
async fn official_client_reconnects_by_itself_once_a_worker_claims() {
    let gateway = TestGateway::new().await;
    let _worker = Worker::succeeding(&gateway);
    gateway.bus.withdraw_workers(true);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/scripts/official.js");
    let running = Script::new(script)
        .trusting(gateway.authority.pem_path())
        .arg(format!("https://{}", gateway.endpoint.addr()))
        .arg("default")
        .env("TOKEN", gateway.token("GEN-001"))
        .start();
    wait::until_true("the client to be closed", wait::deadline(), async || {
        gateway.metric(CLOSED) >= 1.0
    })
    .await;
    gateway.bus.withdraw_workers(false);
    wait::until_true("the client to be live", wait::deadline(), async || {
        running.stdout().contains("live")
    })
    .await;
}

#[tokio::test]
async fn http_requests_without_a_worker_are_503_with_retry_after() {
    let gateway = publish::gateway().await;
    let _online = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    issue(&gateway, &UserId::new("u").unwrap(), "issued").await;
    gateway.bus.withdraw_workers(true);

    let alert = publish::alert().to_string();
    let (status, answer, retry) = post(&gateway, "/v1/users/GEN-001/events", Some(publish::TOKEN), alert).await;
    assert_eq!((status, &answer["error"], &*retry), (503, &json!("unavailable"), "1"));

    let signed = Request::new("POST", "/webhooks/github").header("X-Hub-Signature-256", "sha256=00");
    let challenge = Request::get("/webhooks/x_twitter?crc_token=a");
    for request in [
        signed.body("{}"),
        Request::new("POST", "/webhooks/github").body("{}"),
        challenge,
    ] {
        let response = gateway.endpoint.http(&request).await.unwrap();
        assert_eq!(
            (response.status, response.header("retry-after")),
            (503, "5"),
            "{request:?}"
        );
        assert_eq!(response.json()["error"], "unavailable");
    }
    let page = call_back(&gateway, "issued").await;
    assert_eq!((page.status, page.header("retry-after")), (503, "5"));
}
