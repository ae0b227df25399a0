//! Internal API: publishing of events.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::{Request, Response};
use serde_json::{Value, json};
use testkit::{Native, SocketIo};
use tower::ServiceExt;

use crate::test_gateway::{TestGateway, internal_api};
use crate::worker::Worker;

pub(crate) const TOKEN: &str = "internal-token";

pub(crate) async fn gateway() -> TestGateway {
    TestGateway::with(|settings| settings.internal_api = Some(internal_api(TOKEN))).await
}

/// Sends a request; returns status, body and `Retry-After` of the response.
pub(crate) async fn post(
    gateway: &TestGateway,
    path: &str,
    bearer: Option<&str>,
    body: impl Into<Body>,
) -> (u16, Value, String) {
    let mut request = Request::post(path);
    if let Some(bearer) = bearer {
        request = request.header("Authorization", format!("Bearer {bearer}"));
    }
    let response: Response<Body> = gateway
        .internal
        .clone()
        .oneshot(request.body(body.into()).unwrap())
        .await
        .unwrap();
    let retry = response
        .headers()
        .get("retry-after")
        .map_or("", |value| value.to_str().unwrap())
        .to_owned();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default(), retry)
}

async fn publish(gateway: &TestGateway, body: Value) -> (u16, Value) {
    let (status, answer, _) = post(gateway, "/v1/users/GEN-001/events", Some(TOKEN), body.to_string()).await;
    (status, answer)
}

pub(crate) fn alert() -> Value {
    json!({
        "event": "security:alert",
        "data": {
            "userId": "GEN-001", "severity": "high", "type": "suspicious_login",
            "message": "Login from new device detected", "requiresAction": false, "alertId": "not yours",
        },
    })
}

#[tokio::test]
async fn published_event_is_delivered_with_generated_id_and_timestamp() {
    let gateway = gateway().await;
    let _worker = Worker::succeeding(&gateway);
    let client = Native::connect(&gateway.endpoint, &gateway.token("GEN-001"))
        .await
        .unwrap();
    let (status, answer) = publish(&gateway, alert()).await;
    assert_eq!(status, 202, "{answer}");
    let received = client.next_event("security:alert").await;
    assert_eq!(received.data["alertId"], answer["eventId"]);
    assert_eq!(received.event_id.as_deref(), answer["eventId"].as_str());
    assert!(received.data["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(received.data["message"], "Login from new device detected");
    assert!(received.offset.is_some());

    let others = [
        json!({ "event": "notification:incoming", "data": {
            "userId": "GEN-001", "platform": "github", "type": "mention", "content": "hi", "sender": "octocat",
            "timestamp": "2026-11-23T16:31:00.007Z" } }),
        json!({ "event": "account:status_changed", "data": { "userId": "GEN-001", "accountType": "github", "status": "error" } }),
    ];
    for body in others {
        let (status, answer) = publish(&gateway, body.clone()).await;
        let received = client.next().await;
        assert_eq!((status, received.name.as_str()), (202, body["event"].as_str().unwrap()));
        assert_eq!(received.event_id.as_deref(), answer["eventId"].as_str());
    }
}

#[tokio::test]
async fn same_idempotency_key_publishes_one_event() {
    let gateway = gateway().await;
    let _worker = Worker::succeeding(&gateway);
    let client = Native::connect(&gateway.endpoint, &gateway.token("GEN-001"))
        .await
        .unwrap();
    let mut keyed = alert();
    keyed["idempotencyKey"] = json!("k-1");
    let (_, first) = publish(&gateway, keyed.clone()).await;
    let (status, second) = publish(&gateway, keyed.clone()).await;
    assert_eq!((status, &first), (202, &second));
    keyed["idempotencyKey"] = json!("k-2");
    let (_, third) = publish(&gateway, keyed).await;
    assert_ne!(first, third);
    assert_eq!(client.next().await.data["alertId"], first["eventId"]);
    assert_eq!(client.next().await.data["alertId"], third["eventId"]);
    assert_ne!(publish(&gateway, alert()).await.1, publish(&gateway, alert()).await.1);
}

#[tokio::test]
async fn invalid_event_error_names_the_field() {
    let gateway = gateway().await;
    let data = |name: &str, value: Value| {
        let mut body = alert();
        body["data"][name] = value;
        body
    };
    let cases = [
        (
            data("userId", json!("another")),
            "data.userId: the user of the path was expected",
        ),
        (
            data("severity", json!("deadly")),
            "severity: one of `low`, `medium`, `high`, `critical` was expected",
        ),
        (
            data("requiresAction", Value::Null),
            "requiresAction: a boolean was expected",
        ),
        (
            data("message", json!("x".repeat(17 * 1024))),
            "data: at most 16 KiB were expected",
        ),
        (
            data("message", json!("a\u{0}b")),
            "message: a text without NUL was expected",
        ),
        (
            json!({ "event": "security:alert", "data": {}, "idempotencyKey": "k\u{0}" }),
            "idempotencyKey: a text without NUL was expected",
        ),
        (
            json!({ "event": "security:settings_updated", "data": {} }),
            "event: security:alert, notification:incoming or account:status_changed was expected",
        ),
        (json!({ "data": {} }), "event: this field is required"),
        (
            json!({ "event": "security:alert", "data": 7 }),
            "data: an object was expected",
        ),
        (
            json!({ "event": "security:alert", "data": {}, "idempotencyKey": "" }),
            "idempotencyKey: a text of 1 to 128 characters was expected",
        ),
    ];
    for (body, message) in cases {
        let (status, answer) = publish(&gateway, body).await;
        assert_eq!(
            (status, &answer["error"], &answer["message"]),
            (400, &json!("bad_request"), &json!(message))
        );
    }
    let (status, answer, _) = post(&gateway, "/v1/users/GEN-001/events", Some(TOKEN), "not JSON").await;
    assert_eq!((status, &answer["message"]), (400, &json!("body: JSON was expected")));
}

#[tokio::test]
async fn event_with_odd_text_and_unknown_fields_is_published() {
    let gateway = gateway().await;
    let _worker = Worker::succeeding(&gateway);
    let client = Native::connect(&gateway.endpoint, &gateway.token("GEN-001"))
        .await
        .unwrap();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for unknown in [r#""\ud83d""#, r#"{"\udcf1":"\u0000"}"#, "1e400", "-0.0", deep.as_str()] {
        let body = format!(
            r#"{{"event":"security:alert","x":{unknown},"data":{{"severity":"high","type":"suspicious_login",
            "message":"My phone \ud83d","requiresAction":false,"x":{unknown}}}}}"#
        );
        let (status, answer, _) = post(&gateway, "/v1/users/GEN-001/events", Some(TOKEN), body).await;
        assert_eq!(status, 202, "{unknown:.20}: {answer}");
        let received = client.next_event("security:alert").await;
        assert_eq!(received.data["message"], "My phone \u{fffd}");
    }
}

#[tokio::test]
async fn publish_requires_the_internal_token() {
    let gateway = gateway().await;
    for bearer in [
        None,
        Some("wrong"),
        Some(""),
        Some("internal-token-and-more"),
        Some("internal-toke"),
    ] {
        let (status, answer, _) = post(&gateway, "/v1/users/GEN-001/events", bearer, alert().to_string()).await;
        assert_eq!(
            (status, &answer["error"]),
            (401, &json!("unauthenticated")),
            "{bearer:?}"
        );
    }
}

#[tokio::test]
async fn publish_during_bus_outage_is_503_with_retry_after() {
    let gateway = gateway().await;
    gateway.bus.cut(true);
    let (status, answer, retry) = post(&gateway, "/v1/users/GEN-001/events", Some(TOKEN), alert().to_string()).await;
    assert_eq!(
        (status, &answer["error"], retry.as_str()),
        (503, &json!("unavailable"), "1")
    );
}

#[tokio::test]
async fn alert_without_worker_is_503() {
    let gateway = TestGateway::with(|settings| {
        settings.internal_api = Some(internal_api(TOKEN));
        settings.timing.interactive = Duration::from_millis(400);
    })
    .await;
    let (status, answer, retry) = post(&gateway, "/v1/users/GEN-001/events", Some(TOKEN), alert().to_string()).await;
    assert_eq!(
        (status, &answer["error"], retry.as_str()),
        (503, &json!("unavailable"), "1")
    );
    let sentence = answer["message"].as_str().unwrap();
    assert!(sentence.contains("repeat with the same key"), "{sentence}");
}

/// Returns an alert that requires acknowledgement.
fn urgent() -> Value {
    let mut alert = alert();
    alert["data"]["requiresAction"] = json!(true);
    alert
}

#[tokio::test]
async fn open_alert_is_sent_to_each_new_socket_until_acknowledged() {
    let gateway = gateway().await;
    let worker = Worker::succeeding(&gateway);
    let (_, raised) = publish(&gateway, urgent()).await;
    for _ in 0..2 {
        let native = Native::connect(&gateway.endpoint, &gateway.token("GEN-001"))
            .await
            .unwrap();
        let socketio = SocketIo::connect(&gateway.endpoint, &gateway.token("GEN-001"))
            .await
            .unwrap();
        for socket in [&*native, &*socketio] {
            let received = socket.next().await;
            assert_eq!(received.name, "security:alert");
            assert_eq!(received.data["alertId"], raised["eventId"]);
            assert_eq!(received.offset, None, "a repeated alert has no offset");
        }
    }
    worker.acknowledge_all();
    let client = Native::connect(&gateway.endpoint, &gateway.token("GEN-001"))
        .await
        .unwrap();
    let (_, another) = publish(&gateway, alert()).await;
    assert_eq!(client.next().await.data["alertId"], another["eventId"]);
}

#[tokio::test]
async fn open_alerts_are_sent_once_a_worker_is_available() {
    let gateway = TestGateway::with(|settings| settings.timing.interactive = Duration::from_millis(400)).await;
    let client = Native::connect(&gateway.endpoint, &gateway.token("GEN-001"))
        .await
        .unwrap();
    let mut open = urgent()["data"].clone();
    open["timestamp"] = json!("2026-11-23T16:31:00.007Z");
    // The first job times out before a worker starts.
    tokio::time::timeout(Duration::from_millis(800), client.next())
        .await
        .unwrap_err();
    let _worker = Worker::with_alerts(&gateway, vec![serde_json::from_value(open.clone()).unwrap()]);
    assert_eq!(client.next().await.data, open);
}
