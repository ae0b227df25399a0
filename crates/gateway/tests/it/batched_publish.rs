//! Internal API: publishing of several events in one request.

use serde_json::{Value, json};
use testkit::Native;

use crate::publish::{TOKEN, alert, gateway, post};
use crate::test_gateway::TestGateway;
use crate::worker::Worker;

async fn publish(gateway: &TestGateway, events: Value) -> (u16, Value) {
    let body = json!({ "events": events }).to_string();
    let (status, answer, _) = post(gateway, "/v1/events", Some(TOKEN), body).await;
    (status, answer)
}

async fn client(gateway: &TestGateway, user: &str) -> Native {
    Native::connect(&gateway.endpoint, &gateway.token(user)).await.unwrap()
}

/// Event of a user that a client can recognize by its text.
fn event(user: &str, text: &str) -> Value {
    let data = json!({ "accountType": "github", "status": "error", "metadata": { "errorMessage": text } });
    json!({ "userId": user, "event": "account:status_changed", "data": data })
}

fn text(data: &Value) -> &Value {
    &data["metadata"]["errorMessage"]
}

#[tokio::test]
async fn batch_has_a_result_for_each_event_in_sequence_and_bad_ones_fail_alone() {
    let gateway = gateway().await;
    let _worker = Worker::succeeding(&gateway);
    let (one, other) = (client(&gateway, "GEN-001").await, client(&gateway, "GEN-002").await);
    let mut raised = alert();
    raised["userId"] = json!("GEN-001");
    let mut of_another = event("GEN-002", "never");
    of_another["data"]["userId"] = json!("GEN-001");
    let mut too_large = event("GEN-001", "never");
    too_large["data"]["metadata"]["errorMessage"] = json!("x".repeat(17 * 1024));
    let (status, answer) = publish(
        &gateway,
        json!([
            event("GEN-002", "a"),
            event("GEN-001", "b"),
            { "event": "account:status_changed", "data": {} },
            of_another,
            event("not\u{e9}ASCII", "never"),
            too_large,
            raised,
            7,
            event("GEN-002", "c"),
        ]),
    )
    .await;
    assert_eq!(status, 200, "{answer}");
    let results = answer["results"].as_array().unwrap();
    let messages: Vec<_> = results.iter().map(|result| result["message"].as_str()).collect();
    let expected = [
        None,
        None,
        Some("userId: a text was expected"),
        Some("data.userId: the user of the path was expected"),
        Some("userId: 1 to 128 printable ASCII characters were expected"),
        Some("data: at most 16 KiB were expected"),
        None,
        Some("data: an object was expected"),
        None,
    ];
    assert_eq!(messages, expected);
    for (result, message) in results.iter().zip(expected) {
        assert_eq!(result["eventId"].is_string(), message.is_none(), "{result}");
        assert_eq!(result["error"] == "bad_request", message.is_some(), "{result}");
    }
    assert_eq!(text(&one.next().await.data), "b");
    assert_eq!(one.next().await.data["alertId"], results[6]["eventId"]);
    assert_eq!(text(&other.next().await.data), "a");
    assert_eq!(text(&other.next().await.data), "c");
}

#[tokio::test]
async fn events_of_each_user_are_published_in_their_sequence() {
    let gateway = gateway().await;
    let _worker = Worker::succeeding(&gateway);
    let users: Vec<_> = (0..300).map(|number| format!("GEN-{number}")).collect();
    let (one, last) = (client(&gateway, "GEN-0").await, client(&gateway, "GEN-299").await);
    let mut of_one = (0..400).map(|number| event("GEN-0", &number.to_string()));
    let of_all = users
        .iter()
        .skip(1)
        .flat_map(|user| [event(user, "0"), event(user, "1")]);
    let mixed: Vec<Value> = of_all
        .flat_map(|other| std::iter::once(other).chain(of_one.next()))
        .collect();
    assert_eq!(mixed.len(), 998);
    let (status, answer) = publish(&gateway, Value::from(mixed)).await;
    assert_eq!(status, 200, "{answer}");
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 998);
    assert!(results.iter().all(|result| result["eventId"].is_string()));
    for number in 0..400 {
        assert_eq!(text(&one.next().await.data), &json!(number.to_string()));
    }
    for number in ["0", "1"] {
        assert_eq!(text(&last.next().await.data), number);
    }
}

#[tokio::test]
async fn idempotency_key_counts_across_batches_and_single_requests() {
    let gateway = gateway().await;
    let _worker = Worker::succeeding(&gateway);
    let client = client(&gateway, "GEN-001").await;
    let mut keyed = event("GEN-001", "once");
    keyed["idempotencyKey"] = json!("k-1");
    let mut of_another = keyed.clone();
    of_another["userId"] = json!("GEN-002");
    let (_, answer) = publish(&gateway, json!([keyed, keyed, of_another])).await;
    let ids: Vec<_> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| &result["eventId"])
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2], "keys are per user");
    let (status, single, _) = post(&gateway, "/v1/users/GEN-001/events", Some(TOKEN), keyed.to_string()).await;
    assert_eq!((status, &single["eventId"]), (202, ids[0]));
    let (_, answer) = publish(&gateway, json!([event("GEN-001", "after")])).await;
    assert!(answer["results"][0]["eventId"].is_string());
    assert_eq!(text(&client.next().await.data), "once");
    assert_eq!(text(&client.next().await.data), "after");
}

#[tokio::test]
async fn events_of_a_batch_during_a_bus_outage_are_unavailable() {
    let gateway = gateway().await;
    gateway.bus.cut(true);
    let mut raised = alert();
    raised["userId"] = json!("GEN-001");
    let (status, answer) = publish(&gateway, json!([event("GEN-002", "a"), raised])).await;
    assert_eq!(status, 200);
    for result in answer["results"].as_array().unwrap() {
        let sentence = "The outcome is not known; repeat with the same key.";
        assert_eq!(*result, json!({ "error": "unavailable", "message": sentence }));
    }
}

#[tokio::test]
async fn body_that_is_no_batch_of_up_to_1000_events_is_refused() {
    let gateway = gateway().await;
    let _worker = Worker::succeeding(&gateway);
    let long = |events: usize| json!({ "events": vec![event("GEN-001", "x"); events] }).to_string();
    let not_a_batch = "events: a list of 1 to 1000 events was expected";
    for body in [
        "not JSON".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        event("u", "x").to_string(),
        long(0),
        long(1_001),
    ] {
        let (status, answer, _) = post(&gateway, "/v1/events", Some(TOKEN), body).await;
        assert_eq!((status, &answer["message"]), (400, &json!(not_a_batch)));
    }
    let (status, answer) = publish(&gateway, Value::from(vec![event("GEN-001", "x"); 1_000])).await;
    assert_eq!((status, answer["results"].as_array().unwrap().len()), (200, 1_000));

    let too_long = |path: &'static str, bytes: usize| {
        let gateway = &gateway;
        async move { post(gateway, path, Some(TOKEN), "x".repeat(bytes)).await }
    };
    let (status, answer, _) = too_long("/v1/events", 1024 * 1024 + 1).await;
    let sentence = json!("body: at most 1048576 bytes were expected");
    assert_eq!((status, &answer["message"]), (413, &sentence));
    let (status, answer, _) = too_long("/v1/users/GEN-001/events", 64 * 1024 + 1).await;
    let sentence = json!("body: at most 65536 bytes were expected");
    assert_eq!((status, &answer["message"]), (413, &sentence));
    assert_eq!(too_long("/v1/events", 1024 * 1024).await.0, 400);
}

#[tokio::test]
async fn batch_requires_the_internal_token() {
    let gateway = gateway().await;
    for bearer in [None, Some("wrong")] {
        let body = json!({ "events": [event("GEN-001", "x")] }).to_string();
        let (status, answer, _) = post(&gateway, "/v1/events", bearer, body).await;
        assert_eq!((status, &answer["error"]), (401, &json!("unauthenticated")));
    }
}
