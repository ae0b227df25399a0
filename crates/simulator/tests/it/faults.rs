//! Faults: each has its documented effect on the number of requests that it was set for.

use std::time::Duration;

use futures_util::future::{Either, join, select};
use http::{Method, StatusCode, header};
use simulator::{BlockedRequest, CLIENT_ID, CLIENT_SECRET, Fault, Kind, Platform::Github, Route};
use tokio::time::{Instant, timeout};

use crate::client::{Answer, Client, TOKEN, simulate, until};

fn set(client: &Client, kind: Kind) {
    client.handle.fault(Fault::once(Github, Route::Token, kind));
}

/// Exchanges a test code; the work is done if a token is valid afterwards.
async fn exchange(client: &Client) -> hyper::Result<Answer> {
    let form = format!("client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&code=test_code_123");
    let kind = (header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    client.send(Method::POST, TOKEN, &[kind], &form).await
}

fn work_done(client: &Client) -> bool {
    !client.handle.snapshot().tokens.is_empty()
}

#[tokio::test]
async fn latency_answers_late_and_rightly() {
    simulate(async |client| {
        set(&client, Kind::Latency { milliseconds: 200 });
        let asked = Instant::now();
        assert!(exchange(&client).await.unwrap().form().contains_key("access_token"));
        assert!(asked.elapsed() >= Duration::from_millis(200));
    })
    .await;
}

#[tokio::test]
async fn a_status_replaces_the_work() {
    simulate(async |client| {
        let headers = [("Retry-After".to_owned(), "7".to_owned())].into();
        set(
            &client,
            Kind::Status {
                status: 503,
                headers,
                body: "away".into(),
            },
        );
        let answer = exchange(&client).await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), answer.header("retry-after"), &answer.body[..]),
            (503, "7", &b"away"[..])
        );
        assert!(!work_done(&client));
        assert_eq!(
            client.handle.snapshot().ledger.requests(Github, Route::Token),
            1,
            "it is counted all the same"
        );
    })
    .await;
}

#[tokio::test]
async fn a_dropped_response_has_done_its_work() {
    simulate(async |client| {
        set(&client, Kind::DropResponse);
        assert!(
            exchange(&client).await.unwrap_err().is_incomplete_message(),
            "the connection closes unanswered"
        );
        assert!(work_done(&client));
    })
    .await;
}

#[tokio::test]
async fn hanging_request_has_done_its_work_and_never_answers() {
    simulate(async |client| {
        set(&client, Kind::Hang);
        let worked = until(|| work_done(&client));
        let Either::Right(((), hanging)) = select(Box::pin(exchange(&client)), Box::pin(worked)).await else {
            panic!("a hanging request answered");
        };
        assert!(timeout(Duration::from_millis(200), hanging).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn blocked_request_has_done_its_work_and_answers_when_released() {
    simulate(async |client| {
        set(&client, Kind::AwaitRelease);
        let release = async {
            until(|| {
                client.handle.snapshot().blocked
                    == [BlockedRequest {
                        platform: Github,
                        route: Route::Token,
                    }]
            })
            .await;
            assert!(work_done(&client));
            assert_eq!(client.handle.release(), 1);
        };
        let (answer, ()) = join(exchange(&client), release).await;
        assert!(answer.unwrap().form().contains_key("access_token"));
        assert!(client.handle.snapshot().blocked.is_empty());
    })
    .await;
}

#[tokio::test]
async fn blocked_request_leaves_the_list_when_its_caller_disconnects() {
    simulate(async |client| {
        set(&client, Kind::AwaitRelease);
        let blocked = until(|| !client.handle.snapshot().blocked.is_empty());
        let Either::Right(((), request)) = select(Box::pin(exchange(&client)), Box::pin(blocked)).await else {
            panic!("a held request answered");
        };
        drop(request);
        until(|| client.handle.snapshot().blocked.is_empty()).await;
        assert_eq!(client.handle.release(), 0);
        assert_eq!(client.handle.snapshot().ledger.exchanges(Github, "test_code_123"), 1);
    })
    .await;
}

#[tokio::test]
async fn a_redirect_points_elsewhere() {
    simulate(async |client| {
        set(
            &client,
            Kind::Redirect {
                location: "http://127.0.0.1:1/".into(),
            },
        );
        let answer = exchange(&client).await.unwrap();
        assert_eq!(
            (answer.status, answer.header("location")),
            (StatusCode::TEMPORARY_REDIRECT, "http://127.0.0.1:1/")
        );
        assert!(!work_done(&client));
    })
    .await;
}

#[tokio::test]
async fn garbage_claims_to_be_json() {
    simulate(async |client| {
        set(&client, Kind::Garbage);
        let answer = exchange(&client).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.header("content-type").starts_with("application/json"));
        assert!(std::str::from_utf8(&answer.body).is_err());
    })
    .await;
}

#[tokio::test]
async fn a_huge_body_is_valid_json_without_a_length() {
    simulate(async |client| {
        for bytes in [2, 3, 16 * 1024 + 2, 100_001] {
            set(&client, Kind::HugeBody { bytes });
            let answer = exchange(&client).await.unwrap();
            assert!(!answer.headers.contains_key("content-length"));
            assert_eq!(
                (answer.body.len(), answer.json().as_str().unwrap().len()),
                (bytes, bytes - 2)
            );
        }
    })
    .await;
}

#[tokio::test]
async fn fault_affects_its_number_of_requests_and_ends_when_cleared() {
    simulate(async |client| {
        set(&client, Kind::Garbage);
        client
            .handle
            .fault(Fault::forever(Github, Route::Profile, Kind::Garbage));
        assert!(std::str::from_utf8(&exchange(&client).await.unwrap().body).is_err());
        assert!(
            exchange(&client).await.unwrap().form().contains_key("access_token"),
            "once is once"
        );
        for _ in 0..3 {
            assert_eq!(client.get("/github/api/user", &[]).await.status, StatusCode::OK);
        }
        client.handle.clear_faults();
        assert_eq!(
            client.get("/github/api/user", &[]).await.status,
            StatusCode::UNAUTHORIZED
        );
    })
    .await;
}
