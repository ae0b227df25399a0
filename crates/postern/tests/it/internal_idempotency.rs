//! Idempotency keys of the internal API: the same key with another event is a conflict, at any gateway and for any caller.

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::client::Native;
use testkit::client::http::{Request, Response, plain};
use testkit::cluster::Cluster;
use testkit::token::random_text;

use crate::internal_tokens::{TokensFile, entry};
use crate::stage::POSTERN;

fn alert(message: &str) -> Value {
    let data = json!({"severity": "low", "type": "new_device", "message": message, "requiresAction": false});
    json!({"event": "security:alert", "data": data})
}

fn mention(content: &str) -> Value {
    let data = json!({"platform": "github", "type": "mention", "content": content, "sender": "octocat"});
    json!({"event": "notification:incoming", "data": data})
}

fn keyed(key: &str, mut event: Value) -> Value {
    event["idempotencyKey"] = json!(key);
    event
}

/// Cluster with a client of GEN-001 that receives its events.
struct Scene {
    cluster: Cluster,
    client: Native,
}

impl Scene {
    async fn of(cluster: Cluster) -> Self {
        let client = Native::connect(&cluster.endpoint(0), &cluster.token("GEN-001")).await;
        let client = client.unwrap();
        Self { cluster, client }
    }

    async fn publish(&self, gateway: usize, event: &Value) -> Response {
        let request = Request::post("/v1/users/GEN-001/events", event).bearer(self.cluster.internal_token());
        plain(self.cluster.gateway(gateway).internal_addr(), &request)
            .await
            .unwrap()
    }

    /// Publishes an event that is accepted; returns its id.
    async fn accepted(&self, gateway: usize, event: &Value) -> String {
        let response = self.publish(gateway, event).await;
        assert_eq!(response.status, 202, "{}", response.text());
        response.json()["eventId"].as_str().unwrap().to_owned()
    }

    async fn refused(&self, gateway: usize, event: &Value) {
        assert_conflict(&self.publish(gateway, event).await);
    }

    /// Fails unless the client receives exactly these texts, and then a marker.
    async fn assert_received(&self, texts: &[&str]) {
        self.accepted(0, &mention("marker")).await;
        for text in texts.iter().chain(&["marker"]) {
            let event = self.client.next().await;
            let received = event.data.get("message").or(event.data.get("content"));
            assert_eq!(received, Some(&json!(text)), "{}", event.data);
        }
    }
}

fn assert_conflict(response: &Response) {
    let problem = response.json();
    assert_eq!(
        (response.status, &problem["error"]),
        (409, &json!("conflict")),
        "{problem}"
    );
    assert_eq!(response.header("content-type"), "application/problem+json");
    assert_eq!(
        problem["message"],
        "This idempotency key was used with another request."
    );
    assert_eq!(problem.get("eventId"), None);
}

/// A client receives no batch: events are sent one by one.
async fn unbatched() -> Scene {
    let builder = Cluster::builder(POSTERN).gateway_env("POSTERN_BATCH_INTERVAL", "0s");
    let cluster = Box::pin(builder.start()).await;
    Box::pin(Scene::of(cluster)).await
}

#[tokio::test]
async fn key_with_another_event_is_refused_at_each_gateway_and_publishes_nothing() {
    let scene = unbatched().await;
    for (key, event) in [("n", mention as fn(&str) -> Value), ("a", alert as fn(&str) -> Value)] {
        let first = scene.accepted(0, &keyed(key, event("first"))).await;
        for gateway in [1, 0] {
            scene.refused(gateway, &keyed(key, event("second"))).await;
            assert_eq!(scene.accepted(gateway, &keyed(key, event("first"))).await, first);
        }
        let mut spelled_otherwise = keyed(key, event("first"));
        spelled_otherwise["data"]["userId"] = json!("GEN-001");
        spelled_otherwise["data"]["ignored"] = json!([1, 2]);
        assert_eq!(scene.accepted(0, &spelled_otherwise).await, first);
        let mut at_another_time = keyed(key, event("first"));
        at_another_time["data"]["timestamp"] = json!("2020-01-01T00:00:00.000Z");
        scene.refused(1, &at_another_time).await;
    }
    scene.assert_received(&["first", "first"]).await;
    assert_eq!(scene.cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn key_of_an_event_of_another_kind_is_refused() {
    let scene = unbatched().await;
    scene.accepted(0, &keyed("n", mention("mention"))).await;
    scene.refused(1, &keyed("n", alert("never"))).await;
    scene.accepted(1, &keyed("a", alert("alert"))).await;
    // From its delivery on the alert has a record in Redis.
    assert_eq!(scene.client.next().await.data["content"], "mention");
    assert_eq!(scene.client.next().await.data["message"], "alert");
    scene.refused(0, &keyed("a", mention("never"))).await;
    scene.assert_received(&[]).await;
    let raised = "SELECT count(*) FROM alerts WHERE message IN ('never', 'alert')";
    assert_eq!(scene.cluster.schema().sql(raised).await, ["1"]);
    assert_eq!(scene.cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn of_concurrent_events_under_one_key_one_is_published() {
    let scene = unbatched().await;
    for event in [mention as fn(&str) -> Value, alert as fn(&str) -> Value] {
        let texts: Vec<_> = (0..12).map(|number| number.to_string()).collect();
        let key = event("")["event"].to_string();
        let events: Vec<_> = texts.iter().map(|text| keyed(&key, event(text))).collect();
        let publishes = events
            .iter()
            .enumerate()
            .map(|(number, event)| scene.publish(number % 2, event));
        let responses = join_all(publishes).await;
        let (accepted, refused): (Vec<_>, Vec<_>) = responses
            .iter()
            .enumerate()
            .partition(|(_, response)| response.status == 202);
        assert_eq!(accepted.len(), 1, "{responses:?}");
        refused.iter().for_each(|(_, response)| assert_conflict(response));
        let (number, _) = accepted[0];
        scene.assert_received(&[texts[number].as_str()]).await;
    }
    assert_eq!(scene.cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn conflict_in_a_batch_fails_alone() {
    let scene = unbatched().await;
    let addressed = |mut event: Value| {
        event["userId"] = json!("GEN-001");
        event
    };
    let events = [
        keyed("a", mention("one")),
        keyed("a", mention("two")),
        keyed("a", mention("one")),
        mention("three"),
        keyed("b", alert("four")),
        keyed("b", alert("five")),
    ];
    let batch = json!({ "events": events.map(addressed) });
    let request = Request::post("/v1/events", &batch).bearer(scene.cluster.internal_token());
    let response = plain(scene.cluster.gateway(0).internal_addr(), &request).await.unwrap();
    assert_eq!(response.status, 200, "{}", response.text());
    let results = response.json()["results"].clone();
    let sentence = "This idempotency key was used with another request.";
    let conflict = json!({ "error": "conflict", "message": sentence });
    assert_eq!((&results[1], &results[5]), (&conflict, &conflict), "{results}");
    assert_eq!(results[0], results[2]);
    scene.assert_received(&["one", "three", "four"]).await;
    assert_eq!(scene.cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn callers_learn_nothing_of_events_under_the_keys_of_others() {
    let [first, second] = [random_text(), random_text()];
    let scopes = ["publish_events", "end_sessions"];
    let file = TokensFile::new(&json!([
        entry("first", &scopes, &first),
        entry("second", &scopes, &second)
    ]));
    let cluster = file.cluster(1).await;
    cluster.canary(&first);
    cluster.canary(&second);
    let at = cluster.gateway(0).internal_addr();
    let publish = |event: Value| Request::post("/v1/users/GEN-001/events", &event);
    let secret = mention("what the first caller says");
    let accepted = plain(at, &publish(keyed("k", secret)).bearer(&first)).await.unwrap();
    assert_eq!(accepted.status, 202);
    let refused = plain(at, &publish(keyed("k", mention("guess"))).bearer(&second))
        .await
        .unwrap();
    assert_conflict(&refused);
    assert!(!refused.text().contains("says"));

    // Keys of the header belong to their caller: the second one gets no stored answer of the first.
    let end = Request::new("DELETE", "/v1/users/GEN-001/sessions").header("Idempotency-Key", "\"k\"");
    for token in [&first, &second, &first] {
        let response = plain(at, &end.clone().bearer(token)).await.unwrap();
        assert_eq!((response.status, response.json()), (200, json!({ "sessionsEnded": 0 })));
    }
    let rows = "SELECT count(*) FROM answers";
    assert_eq!(cluster.schema().sql(rows).await, ["2"]);
    let long = "k".repeat(129);
    for key in ["", long.as_str(), "k\u{e9}"] {
        let end = Request::new("DELETE", "/v1/users/GEN-001/sessions").header("Idempotency-Key", key);
        let response = plain(at, &end.bearer(&first)).await.unwrap();
        assert_eq!(
            (response.status, &response.json()["error"]),
            (400, &json!("bad_request")),
            "{key}"
        );
    }
    let in_header = publish(mention("m")).header("Idempotency-Key", "k").bearer(&first);
    assert_eq!(plain(at, &in_header).await.unwrap().status, 400);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}
