//! Command budget of a user across its sockets and sessions.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::Native;
use tokio::time::Instant;

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

#[tokio::test]
async fn command_budget_is_shared_by_sockets_of_a_user_and_not_across_users() {
    let gateway = TestGateway::with(|settings| settings.event_rate = None).await;
    let worker = Worker::succeeding(&gateway);
    let sockets = join_all((0..4).map(|_| connect(&gateway, "u", "s"))).await;
    let started = Instant::now();
    let mut taken = 0;
    for _ in 0..25 {
        let answers = sockets
            .iter()
            .map(|socket| socket.request("security:sessions", json!({})));
        taken += join_all(answers)
            .await
            .iter()
            .filter(|answer| is_ok(&answer.data))
            .count();
    }
    assert!(taken >= 60, "{taken} of the first 60 were taken");
    assert!(taken <= budget_after(started.elapsed()), "{taken} were taken");
    assert!(worker.done() <= taken, "what was refused is no job");

    let refused = exhaust(&sockets[0], "account:list", json!({})).await;
    assert!((1..=2).contains(&refused["retryAfter"].as_u64().unwrap()), "{refused}");
    let other = connect(&gateway, "v", "s").await;
    let answer = other.request("account:list", json!({})).await.data;
    assert!(is_ok(&answer), "{answer}");
}

#[tokio::test]
async fn reconnect_does_not_reset_command_budget() {
    let gateway = TestGateway::with(|settings| settings.event_rate = None).await;
    let _worker = Worker::succeeding(&gateway);
    let started = Instant::now();
    let mut taken = 0;
    for _ in 0..4 {
        let socket = connect(&gateway, "u", "s").await;
        let answers = (0..25).map(|_| socket.request("security:alerts", json!({})));
        taken += join_all(answers)
            .await
            .iter()
            .filter(|answer| is_ok(&answer.data))
            .count();
    }
    assert!(taken <= budget_after(started.elapsed()), "{taken} of 100 were taken");
}

#[tokio::test]
async fn flooded_budget_leaves_refresh_and_protective_commands_available() {
    let gateway = TestGateway::with(|settings| settings.event_rate = None).await;
    let _worker = Worker::succeeding(&gateway);
    let thief = connect(&gateway, "u", "stolen").await;
    let owner = connect(&gateway, "u", "own").await;
    exhaust(&thief, "account:list", json!({})).await;
    let confirmation = json!({ "action": "security:revoke_all" });
    let end = json!({ "sessionId": "own" });
    for (event, data) in [
        ("security:end_sessions", end),
        ("security:request_confirmation", confirmation),
    ] {
        exhaust(&thief, event, data).await;
    }

    let refresh = json!({ "token": token(&gateway, "u", "stolen") });
    for (event, data) in [("auth:refresh", refresh), ("security:extend_session", json!({}))] {
        let answer = thief.request(event, data).await.data;
        assert!(is_ok(&answer), "{event}: {answer}");
    }
    for (event, data) in [
        (
            "security:verify_2fa",
            json!({ "userId": "u", "sessionId": "c", "token": "123456" }),
        ),
        ("security:end_sessions", json!({ "sessionId": "others" })),
        (
            "security:request_confirmation",
            json!({ "action": "security:revoke_all" }),
        ),
        (
            "security:revoke_all",
            json!({ "userId": "u", "confirmationToken": "c" }),
        ),
    ] {
        let answer = owner.request(event, data).await.data;
        assert!(is_ok(&answer), "{event}: {answer}");
    }
}

#[tokio::test]
async fn all_limits_of_a_command_are_charged_in_one_call() {
    let gateway = TestGateway::new().await;
    let _worker = Worker::succeeding(&gateway);
    let socket = connect(&gateway, "u", "s").await;
    let asked = gateway.bus.limit_calls();
    let confirmation = json!({ "action": "security:revoke_all" });
    let answer = socket.request("security:request_confirmation", confirmation).await.data;
    assert!(is_ok(&answer), "{answer}");
    assert_eq!(gateway.bus.limit_calls(), asked + 1, "its own limit and two budgets");
}

/// Sends a command until it is refused; returns the refusal.
async fn exhaust(socket: &Native, event: &str, data: Value) -> Value {
    let mut answer = socket.request(event, data.clone()).await.data;
    for sent in 1.. {
        if !is_ok(&answer) {
            break;
        }
        assert!(sent < 1_000, "{event} is never refused");
        answer = socket.request(event, data.clone()).await.data;
    }
    assert_eq!(answer["error"], "rate_limited", "{answer}");
    answer
}

fn is_ok(answer: &Value) -> bool {
    answer["success"] == true
}

/// Returns the maximum number of accepted commands after this time.
fn budget_after(elapsed: Duration) -> usize {
    60 + 2 * usize::try_from(elapsed.as_secs() + 1).unwrap()
}

async fn connect(gateway: &TestGateway, user: &str, session: &str) -> Native {
    Native::connect(&gateway.endpoint, &token(gateway, user, session))
        .await
        .unwrap()
}

fn token(gateway: &TestGateway, user: &str, session: &str) -> String {
    let now = testkit::token::now();
    gateway
        .signer
        .sign(&json!({ "sub": user, "sid": session, "iat": now, "exp": now + 600 }))
}
