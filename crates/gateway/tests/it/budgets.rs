//! What one user may ask of the workers, whatever the number of its sockets and sessions.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::Native;
use tokio::time::Instant;

use crate::house::House;
use crate::worker::Worker;

#[tokio::test]
async fn commands_of_a_user_beyond_its_budget_are_refused_on_all_its_sockets_and_on_nobody_elses() {
    let house = House::with(|settings| settings.event_rate = None).await;
    let worker = Worker::obliging(&house);
    let sockets = join_all((0..4).map(|_| connect(&house, "u", "s"))).await;
    let begun = Instant::now();
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
    assert!(taken <= budget_after(begun.elapsed()), "{taken} were taken");
    assert!(worker.done() <= taken, "what was refused is no job");

    let refused = exhaust(&sockets[0], "account:list", json!({})).await;
    assert!((1..=2).contains(&refused["retryAfter"].as_u64().unwrap()), "{refused}");
    let other = connect(&house, "v", "s").await;
    let answer = other.request("account:list", json!({})).await.data;
    assert!(is_ok(&answer), "{answer}");
}

#[tokio::test]
async fn a_reconnect_gives_a_user_no_new_budget() {
    let house = House::with(|settings| settings.event_rate = None).await;
    let _worker = Worker::obliging(&house);
    let begun = Instant::now();
    let mut taken = 0;
    for _ in 0..4 {
        let socket = connect(&house, "u", "s").await;
        let answers = (0..25).map(|_| socket.request("security:alerts", json!({})));
        taken += join_all(answers)
            .await
            .iter()
            .filter(|answer| is_ok(&answer.data))
            .count();
    }
    assert!(taken <= budget_after(begun.elapsed()), "{taken} of 100 were taken");
}

#[tokio::test]
async fn a_flood_logs_nobody_out_and_keeps_no_other_session_from_ending_it() {
    let house = House::with(|settings| settings.event_rate = None).await;
    let _worker = Worker::obliging(&house);
    let thief = connect(&house, "u", "stolen").await;
    let owner = connect(&house, "u", "own").await;
    exhaust(&thief, "account:list", json!({})).await;
    let confirmation = json!({ "action": "security:revoke_all" });
    let end = json!({ "sessionId": "own" });
    for (event, data) in [
        ("security:end_sessions", end),
        ("security:request_confirmation", confirmation),
    ] {
        exhaust(&thief, event, data).await;
    }

    let refresh = json!({ "token": token(&house, "u", "stolen") });
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
async fn all_refilling_limits_of_a_command_are_asked_at_once() {
    let house = House::new().await;
    let _worker = Worker::obliging(&house);
    let socket = connect(&house, "u", "s").await;
    let asked = house.line.asked_limits();
    let confirmation = json!({ "action": "security:revoke_all" });
    let answer = socket.request("security:request_confirmation", confirmation).await.data;
    assert!(is_ok(&answer), "{answer}");
    assert_eq!(house.line.asked_limits(), asked + 1, "its own limit and two budgets");
}

/// Sends a command until it is refused, and gives the refusal.
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

/// How many commands a user may have sent after this long.
fn budget_after(elapsed: Duration) -> usize {
    60 + 2 * usize::try_from(elapsed.as_secs() + 1).unwrap()
}

async fn connect(house: &House, user: &str, session: &str) -> Native {
    Native::connect(&house.endpoint, &token(house, user, session))
        .await
        .unwrap()
}

fn token(house: &House, user: &str, session: &str) -> String {
    let now = testkit::token::now();
    house
        .signer
        .sign(&json!({ "sub": user, "sid": session, "iat": now, "exp": now + 600 }))
}
