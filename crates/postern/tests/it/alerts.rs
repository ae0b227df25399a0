//! Durable alerts: repeated until acknowledged, and still readable after Redis has lost all data.

use serde_json::{Value, json};
use testkit::Redis;
use testkit::client::Native;
use testkit::client::http::{Request, plain};
use testkit::cluster::Cluster;
use testkit::wait;

use crate::stage::{POSTERN, Platforms, client};

/// Publishes an alert through a gateway's internal API; returns its id.
async fn raise(cluster: &Cluster, message: &str, requires_action: bool) -> Value {
    let alert = json!({"event": "security:alert", "data": {"severity": "high", "type": "suspicious_login",
        "message": message, "requiresAction": requires_action}});
    let request = Request::post("/v1/users/GEN-001/events", &alert).bearer(cluster.internal_token());
    let response = plain(cluster.gateway(0).internal_addr(), &request).await.unwrap();
    assert_eq!(response.status, 202, "{response:?}");
    response.json()["eventId"].clone()
}

fn names(answer: &Value) -> Vec<&Value> {
    let alerts = answer["alerts"].as_array().unwrap();
    alerts.iter().map(|alert| &alert["alertId"]).collect()
}

#[tokio::test]
async fn an_alert_comes_again_until_it_is_acknowledged_and_is_still_read_after_redis_lost_everything() {
    let platforms = Platforms::start().await;
    let redis = Redis::start().await;
    let cluster = platforms
        .linked_to(Cluster::builder(POSTERN))
        .redis(&redis)
        .start()
        .await;
    let urgent = raise(&cluster, "is it you?", true).await;
    let good_to_know = raise(&cluster, "good to know", false).await;
    for gateway in [0, 1] {
        let socketio = client(&cluster, gateway, "GEN-001").await;
        let native = Native::connect(&cluster.endpoint(gateway), &cluster.token("GEN-001"))
            .await
            .unwrap();
        for socket in [&*socketio, &*native] {
            let again = socket.next_event("security:alert").await;
            assert_eq!(
                (&again.data["alertId"], &again.data["message"]),
                (&urgent, &json!("is it you?"))
            );
            assert_eq!(again.offset, None);
        }
    }

    assert_eq!(redis.command(&["FLUSHALL"]).await, "OK");
    let caller = wait::until("a client to be let in", wait::deadline(), async || {
        Native::connect(&cluster.endpoint(0), &cluster.token("GEN-001"))
            .await
            .ok()
    })
    .await;
    let all = wait::until("the alerts to be read", wait::deadline(), async || {
        let all = caller.request("security:alerts", json!({})).await.data;
        (all["success"] == true).then_some(all)
    })
    .await;
    assert_eq!(names(&all), [&urgent, &good_to_know]);
    let newer = caller.request("security:alerts", json!({"after": urgent})).await.data;
    assert_eq!(names(&newer), [&good_to_know]);

    let unknown = caller
        .request("security:ack", json!({"alertId": "another's"}))
        .await
        .data;
    assert_eq!(unknown["error"], "bad_request");
    let acked = caller.request("security:ack", json!({"alertId": urgent})).await.data;
    assert_eq!(acked, json!({"success": true}));
    let after = client(&cluster, 1, "GEN-001").await;
    let marker = raise(&cluster, "marker", false).await;
    let mut received = Vec::new();
    while received.last() != Some(&marker) {
        let alert = after.next_event("security:alert").await;
        assert!(
            alert.offset.is_some(),
            "an acknowledged alert came again: {:?}",
            alert.data
        );
        received.push(alert.data["alertId"].clone());
    }
    // The event log is restored with its next event, or before this client connected.
    let restored = [urgent, good_to_know, marker];
    assert!(restored.ends_with(&received), "{received:?}");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}
