//! Controls over HTTP, which are those of the handle.

use futures_util::future::join;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::client::{Client, simulate, until};

async fn post(client: &Client, path: &str, body: Value) -> Value {
    let answer = client.json(Method::POST, path, &[], &body).await;
    assert!(answer.status.is_success(), "{path}: {answer:?}");
    if answer.body.is_empty() {
        Value::Null
    } else {
        answer.json()
    }
}

async fn state(client: &Client) -> Value {
    client.get("/_control/state", &[]).await.json()
}

#[tokio::test]
async fn state_reports_requests_exchanges_and_tokens() {
    simulate(async |client| {
        let token = client.exchange("test_code_ada", &[]).await;
        let state = state(&client).await;
        assert_eq!(state["requests"]["github"]["token"], 1);
        assert_eq!(state["exchanges"]["github"]["test_code_ada"], 1);
        assert_eq!(
            (&state["blocked"], &state["faults"], &state["revocations"]),
            (&json!([]), &json!([]), &json!([]))
        );
        let expected = json!([{
            "platform": "github",
            "login": "ada",
            "scopes": ["notifications", "read:user"],
            "access_token": token["access_token"],
        }]);
        assert_eq!(state["tokens"], expected);
    })
    .await;
}

#[tokio::test]
async fn faults_are_set_listed_and_cleared() {
    simulate(async |client| {
        let fault =
            json!({"platform": "github", "route": "profile", "times": "forever", "kind": "status", "status": 500});
        post(&client, "/_control/faults", fault).await;
        assert_eq!(
            client.get("/github/api/user", &[]).await.status,
            StatusCode::INTERNAL_SERVER_ERROR
        );
        assert_eq!(state(&client).await["faults"][0]["times"], "forever");
        let cleared = client.json(Method::DELETE, "/_control/faults", &[], &Value::Null).await;
        assert_eq!(cleared.status, StatusCode::NO_CONTENT);
        assert_eq!(
            client.get("/github/api/user", &[]).await.status,
            StatusCode::UNAUTHORIZED
        );
    })
    .await;
}

#[tokio::test]
async fn a_fault_that_does_not_exist_is_refused() {
    simulate(async |client| {
        let fault = json!({"platform": "github", "route": "profile", "kind": "earthquake"});
        let answer = client.json(Method::POST, "/_control/faults", &[], &fault).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    })
    .await;
}

#[tokio::test]
async fn blocked_requests_are_listed_and_released() {
    simulate(async |client| {
        post(
            &client,
            "/_control/faults",
            json!({"platform": "github", "route": "token", "kind": "await_release"}),
        )
        .await;
        let release = async {
            until(|| !client.handle.snapshot().blocked.is_empty()).await;
            assert_eq!(
                state(&client).await["blocked"],
                json!([{"platform": "github", "route": "token"}])
            );
            assert_eq!(post(&client, "/_control/release", Value::Null).await["released"], 1);
        };
        let (token, ()) = join(client.exchange("test_code_123", &[]), release).await;
        assert!(token["access_token"].is_string());
    })
    .await;
}

#[tokio::test]
async fn notifications_test_codes_and_deauthorizations_are_controlled_by_json() {
    simulate(async |client| {
        post(&client, "/_control/test_codes", json!({"single_use": true})).await;
        let bearer = client.bearer("ada").await;
        let issued = post(
            &client,
            "/_control/github/notifications",
            json!({"login": "ada", "title": "by control"}),
        )
        .await;
        let list = client
            .get("/github/api/notifications", &[(header::AUTHORIZATION, &bearer)])
            .await
            .json();
        assert_eq!(
            (&list[0]["subject"]["title"], &list[0]["updated_at"]),
            (&"by control".into(), &issued["updated_at"])
        );
        assert_eq!(
            post(
                &client,
                "/_control/deauthorize",
                json!({"platform": "github", "login": "ada"})
            )
            .await["tokens"],
            1
        );
        assert_eq!(
            client.exchange("test_code_ada", &[]).await["error"],
            "bad_verification_code"
        );
    })
    .await;
}
