//! The internal API and `postern publish`: the customer's 'Security Alert Test'.

use serde_json::json;
use testkit::client::Native;
use testkit::client::http::{KeptAlive, Request, plain};

use crate::command_line::postern;
use crate::stage::{Platforms, client, cluster};

#[tokio::test]
async fn an_alert_published_on_the_server_reaches_every_device_once() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let first = client(&cluster, 0, "GEN-001").await;
    let second = Native::connect(&cluster.endpoint(1), &cluster.token("GEN-001"))
        .await
        .unwrap();
    let stranger = client(&cluster, 1, "GEN-002").await;

    let internal = cluster.gateway(0).internal_url();
    let publish = async |user: &str, key: &str, message: &str| {
        let data = json!({"severity": "high", "type": "suspicious_login", "message": message, "requiresAction": true});
        let published = postern(&[
            "publish",
            "--server",
            &internal,
            "--internal-token",
            cluster.internal_token(),
            "--user",
            user,
            "--event",
            "security:alert",
            "--idempotency-key",
            key,
            "--data",
            &data.to_string(),
        ])
        .await;
        assert_eq!(published.status, 0, "{}", published.stderr);
        published.stdout
    };
    let message = "Login from new device detected";
    let event = publish("GEN-001", "a", message).await;
    assert_eq!(
        publish("GEN-001", "a", message).await,
        event,
        "the same key is the same event"
    );
    publish("GEN-001", "b", "marker").await;
    publish("GEN-002", "a", "marker").await;

    for socket in [&*first, &*second] {
        let alert = socket.next_event("security:alert").await;
        assert_eq!(alert.data["userId"], "GEN-001");
        assert_eq!(alert.data["message"], message);
        assert_eq!(alert.data["requiresAction"], true);
        assert!(alert.data["alertId"].is_string() && alert.data["timestamp"].is_string());
        assert!(alert.offset.is_some());
        assert_eq!(
            socket.next_event("security:alert").await.data["message"],
            "marker",
            "received once"
        );
    }
    assert_eq!(stranger.next_event("security:alert").await.data["message"], "marker");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_internal_api_wants_its_token_and_the_paths_own_user() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let internal = cluster.gateway(0).internal_addr();
    let alert = |user: &str| {
        json!({"event": "security:alert", "data": {"userId": user, "severity": "low", "type": "new_device",
               "message": "m", "requiresAction": false}})
    };
    let path = "/v1/users/GEN-001/events";
    let wrong = [
        (Request::post(path, &alert("GEN-001")), 401),
        (Request::post(path, &alert("GEN-001")).bearer("not-the-token"), 401),
        (
            Request::post(path, &alert("GEN-002")).bearer(cluster.internal_token()),
            400,
        ),
        (
            Request::post(path, &json!({"event": "resync", "data": {}})).bearer(cluster.internal_token()),
            400,
        ),
        (
            Request::post(path, &json!({"event": "security:alert", "data": {}})).bearer(cluster.internal_token()),
            400,
        ),
    ];
    for (request, status) in wrong {
        assert_eq!(plain(internal, &request).await.unwrap().status, status, "{request:?}");
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn upload_with_a_wrong_token_is_refused_and_its_connection_closed_before_the_body_arrives() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    for path in ["/v1/events", "/v1/users/GEN-001/events"] {
        // The body is never sent: who reads it first waits for ever.
        let upload = Request::new("POST", path).header("Content-Length", "1073741824");
        let mut connection = KeptAlive::connect(cluster.gateway(0).internal_addr()).await.unwrap();
        let response = connection.send(&upload.bearer("not-the-token")).await.unwrap();
        assert_eq!(response.status, 401, "{path}");
        assert!(connection.is_closed().await, "{path}");
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}
