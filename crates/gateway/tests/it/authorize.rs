//! How often, and how much, a user may have remembered for authorizations.

use serde_json::json;
use testkit::{Native, SocketIo};

use crate::house::House;
use crate::worker::Worker;

#[tokio::test]
async fn ten_authorizations_a_minute_are_begun_over_all_sockets_of_a_user() {
    let house = House::new().await;
    let worker = Worker::obliging(&house);
    let first = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let second = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
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
    let other = Native::connect(&house.endpoint, &house.token("other")).await.unwrap();
    let answer = other.request("account:authorize", asked).await.data;
    assert_eq!(answer["success"], true, "each user has a count of its own");
    assert_eq!(worker.done(), 11);
}

#[tokio::test]
async fn a_redirect_uri_of_more_than_2048_bytes_is_refused_by_name_and_makes_no_job() {
    let house = House::new().await;
    let worker = Worker::obliging(&house);
    let client = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
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
