//! Limits of `account:authorize`: rate and size.

use serde_json::json;
use testkit::{Native, SocketIo};

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

#[tokio::test]
async fn authorizations_are_limited_to_ten_per_minute_across_sockets() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    let first = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let second = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let asked = json!({ "accountType": "github", "redirectUri": "http://localhost/cb" });
    for _ in 0..5 {
        let answers = [
            first.request("account:authorize", asked.clone()).await.data,
            second.emit_with_ack("account:authorize", asked.clone()).await,
        ];
        assert!(answers.iter().all(|answer| answer["success"] == true), "{answers:?}");
    }
    let refused = first.request("account:authorize", asked.clone()).await.data;
    assert_eq!(refused["error"], "rate_limited", "{refused}");
    assert!((1..=6).contains(&refused["retryAfter"].as_u64().unwrap()), "{refused}");
    let other = Native::connect(&gateway.endpoint, &gateway.token("other"))
        .await
        .unwrap();
    let answer = other.request("account:authorize", asked).await.data;
    assert_eq!(answer["success"], true, "each user has a count of its own");
    assert_eq!(worker.done(), 11);
}

#[tokio::test]
async fn redirect_uri_longer_than_2048_bytes_is_refused_without_a_job() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let asked = |bytes: usize| {
        let redirect = format!("http://localhost/{}", "x".repeat(bytes - "http://localhost/".len()));
        json!({ "accountType": "github", "redirectUri": redirect })
    };
    let refused = client.request("account:authorize", asked(2_049)).await.data;
    assert_eq!(
        (&refused["error"], &refused["message"]),
        (
            &json!("bad_request"),
            &json!("redirectUri: a text of at most 2048 bytes was expected")
        )
    );
    let answer = client.request("account:authorize", asked(2_048)).await.data;
    assert_eq!(answer["success"], true, "{answer}");
    assert_eq!(worker.done(), 1);
}
