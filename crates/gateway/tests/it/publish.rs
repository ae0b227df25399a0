//! The internal API: what the application's own servers may say to a user.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::{Request, Response};
use protocol::secret::Secret;
use serde_json::{Value, json};
use testkit::{Native, SocketIo};
use tower::ServiceExt;

use crate::house::House;
use crate::worker::Worker;

const TOKEN: &str = "internal-token";

async fn house() -> House {
    House::with(|settings| settings.internal_token = Some(Secret::new(TOKEN))).await
}

/// An answer: its status, its body, and the header that says when to come back.
async fn post(house: &House, path: &str, bearer: Option<&str>, body: impl Into<Body>) -> (u16, Value, String) {
    let mut request = Request::post(path);
    if let Some(bearer) = bearer {
        request = request.header("Authorization", format!("Bearer {bearer}"));
    }
    let response: Response<Body> = house
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

async fn publish(house: &House, body: Value) -> (u16, Value) {
    let (status, answer, _) = post(house, "/v1/users/GEN-001/events", Some(TOKEN), body.to_string()).await;
    (status, answer)
}

fn alert() -> Value {
    json!({
        "event": "security:alert",
        "data": {
            "userId": "GEN-001", "severity": "high", "type": "suspicious_login",
            "message": "Login from new device detected", "requiresAction": false, "alertId": "not yours",
        },
    })
}

#[tokio::test]
async fn an_event_reaches_its_user_with_our_id_and_the_time() {
    let house = house().await;
    let _worker = Worker::obliging(&house);
    let client = Native::connect(&house.endpoint, &house.token("GEN-001")).await.unwrap();
    let (status, answer) = publish(&house, alert()).await;
    assert_eq!(status, 202, "{answer}");
    let heard = client.next_event("security:alert").await;
    assert_eq!(heard.data["alertId"], answer["eventId"]);
    assert!(heard.data["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(heard.data["message"], "Login from new device detected");
    assert!(heard.offset.is_some());

    let others = [
        json!({ "event": "notification:incoming", "data": {
            "userId": "GEN-001", "platform": "github", "type": "mention", "content": "hi", "sender": "octocat",
            "timestamp": "2026-11-23T16:31:00.007Z" } }),
        json!({ "event": "account:status_changed", "data": { "userId": "GEN-001", "accountType": "github", "status": "error" } }),
    ];
    for body in others {
        assert_eq!(publish(&house, body.clone()).await.0, 202);
        let heard = client.next().await;
        assert_eq!(heard.name, body["event"].as_str().unwrap());
    }
}

#[tokio::test]
async fn the_same_key_is_the_same_event() {
    let house = house().await;
    let _worker = Worker::obliging(&house);
    let client = Native::connect(&house.endpoint, &house.token("GEN-001")).await.unwrap();
    let mut keyed = alert();
    keyed["idempotencyKey"] = json!("k-1");
    let (_, first) = publish(&house, keyed.clone()).await;
    let (status, second) = publish(&house, keyed.clone()).await;
    assert_eq!((status, &first), (202, &second));
    keyed["idempotencyKey"] = json!("k-2");
    let (_, third) = publish(&house, keyed).await;
    assert_ne!(first, third);
    assert_eq!(client.next().await.data["alertId"], first["eventId"]);
    assert_eq!(client.next().await.data["alertId"], third["eventId"]);
    assert_ne!(publish(&house, alert()).await.1, publish(&house, alert()).await.1);
}

#[tokio::test]
async fn what_cannot_be_published_says_which_field() {
    let house = house().await;
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
        let (status, answer) = publish(&house, body).await;
        assert_eq!(
            (status, &answer["error"], &answer["message"]),
            (400, &json!("bad_request"), &json!(message))
        );
    }
    let (status, answer, _) = post(&house, "/v1/users/GEN-001/events", Some(TOKEN), "not JSON").await;
    assert_eq!((status, &answer["message"]), (400, &json!("body: JSON was expected")));
}

#[tokio::test]
async fn an_event_is_published_whatever_its_text_and_its_unknown_fields_hold() {
    let house = house().await;
    let _worker = Worker::obliging(&house);
    let client = Native::connect(&house.endpoint, &house.token("GEN-001")).await.unwrap();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for unknown in [r#""\ud83d""#, r#"{"\udcf1":"\u0000"}"#, "1e400", "-0.0", deep.as_str()] {
        let body = format!(
            r#"{{"event":"security:alert","x":{unknown},"data":{{"severity":"high","type":"suspicious_login",
            "message":"My phone \ud83d","requiresAction":false,"x":{unknown}}}}}"#
        );
        let (status, answer, _) = post(&house, "/v1/users/GEN-001/events", Some(TOKEN), body).await;
        assert_eq!(status, 202, "{unknown:.20}: {answer}");
        let heard = client.next_event("security:alert").await;
        assert_eq!(heard.data["message"], "My phone \u{fffd}");
    }
}

#[tokio::test]
async fn only_the_bearer_of_the_token_may_publish() {
    let house = house().await;
    for bearer in [
        None,
        Some("wrong"),
        Some(""),
        Some("internal-token-and-more"),
        Some("internal-toke"),
    ] {
        let (status, answer, _) = post(&house, "/v1/users/GEN-001/events", bearer, alert().to_string()).await;
        assert_eq!(
            (status, &answer["error"]),
            (401, &json!("unauthenticated")),
            "{bearer:?}"
        );
    }
    let (status, ..) = post(
        &House::new().await,
        "/v1/users/GEN-001/events",
        Some(TOKEN),
        alert().to_string(),
    )
    .await;
    assert_eq!(status, 404, "without a configured token there is no such API");
}

#[tokio::test]
async fn a_bus_that_is_away_is_said() {
    let house = house().await;
    house.line.cut(true);
    let (status, answer, retry) = post(&house, "/v1/users/GEN-001/events", Some(TOKEN), alert().to_string()).await;
    assert_eq!(
        (status, &answer["error"], retry.as_str()),
        (503, &json!("unavailable"), "1")
    );
}

#[tokio::test]
async fn an_alert_that_no_worker_takes_is_not_promised() {
    let house = House::with(|settings| {
        settings.internal_token = Some(Secret::new(TOKEN));
        settings.timing.interactive = Duration::from_millis(400);
    })
    .await;
    let (status, answer, retry) = post(&house, "/v1/users/GEN-001/events", Some(TOKEN), alert().to_string()).await;
    assert_eq!(
        (status, &answer["error"], retry.as_str()),
        (503, &json!("unavailable"), "1")
    );
    let sentence = answer["message"].as_str().unwrap();
    assert!(sentence.contains("repeat with the same key"), "{sentence}");
}

/// An alert that asks to be acknowledged.
fn urgent() -> Value {
    let mut alert = alert();
    alert["data"]["requiresAction"] = json!(true);
    alert
}

#[tokio::test]
async fn an_alert_that_asks_for_it_comes_again_to_each_socket_until_it_is_acknowledged() {
    let house = house().await;
    let worker = Worker::obliging(&house);
    let (_, raised) = publish(&house, urgent()).await;
    for _ in 0..2 {
        let native = Native::connect(&house.endpoint, &house.token("GEN-001")).await.unwrap();
        let socketio = SocketIo::connect(&house.endpoint, &house.token("GEN-001"))
            .await
            .unwrap();
        for socket in [&*native, &*socketio] {
            let heard = socket.next().await;
            assert_eq!(heard.name, "security:alert");
            assert_eq!(heard.data["alertId"], raised["eventId"]);
            assert_eq!(heard.offset, None, "it has no place in the order");
        }
    }
    worker.acknowledge_all();
    let client = Native::connect(&house.endpoint, &house.token("GEN-001")).await.unwrap();
    let (_, another) = publish(&house, alert()).await;
    assert_eq!(client.next().await.data["alertId"], another["eventId"]);
}

#[tokio::test]
async fn open_alerts_are_told_late_when_workers_were_away() {
    let house = House::with(|settings| settings.timing.interactive = Duration::from_millis(400)).await;
    let client = Native::connect(&house.endpoint, &house.token("GEN-001")).await.unwrap();
    let mut open = urgent()["data"].clone();
    open["timestamp"] = json!("2026-11-23T16:31:00.007Z");
    // The first inquiry is over before a worker comes.
    tokio::time::timeout(Duration::from_millis(800), client.next())
        .await
        .unwrap_err();
    let _worker = Worker::knowing(&house, vec![serde_json::from_value(open.clone()).unwrap()]);
    assert_eq!(client.next().await.data, open);
}
