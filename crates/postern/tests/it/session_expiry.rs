//! End of a session in every message of a cluster, and its extension on sockets of two gateways.

use std::time::Duration;

use protocol::time::Timestamp;
use serde_json::{Value, json};
use testkit::client::{Native, SocketIo};
use testkit::cluster::Cluster;
use testkit::token::claims;

use crate::factor::{USER, challenge, code, enrol, verify};
use crate::stage::{POSTERN, Platforms, cluster};

/// Each message that names an end, with tokens that end before the session of 30 minutes and after it.
#[tokio::test]
async fn every_expires_at_is_the_earlier_end_whoever_answers() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let enrolled = connect(&cluster, 0, &claims(USER, HOUR)).await;
    let (secret, recovery) = enrol(&enrolled).await;
    let lives = [(HOUR / 4, Some("token_expires_first")), (HOUR, None)];
    for ((life, limit), given) in lives.into_iter().zip([code(&secret, 0), recovery[0].clone()]) {
        let claims = claims(USER, life);
        let token = cluster.token_with(&claims);
        let greeted = Native::connect(&cluster.endpoint(1), &token).await.unwrap();
        let socket = SocketIo::connect(&cluster.endpoint(0), &token).await.unwrap();
        let extended = socket.emit_with_ack("security:extend_session", json!({})).await;
        let refreshed = socket.emit_with_ack("auth:refresh", json!({ "token": token })).await;
        let listed = socket.emit_with_ack("security:sessions", json!({})).await;
        let asked = challenge(&socket).await;
        let verified = verify(&socket, &asked, &given).await;
        let mut current = listed["sessions"][0].clone();
        current["serverTime"] = listed["serverTime"].clone();
        for data in [&greeted.ready(), &extended, &refreshed, &current, &verified] {
            assert_ends(data, &claims);
        }
        assert_eq!(extended["canExtend"], json!(limit.is_none()), "{extended}");
        assert_eq!(
            (verified["reason"].as_str(), extended["reason"].as_str()),
            (limit, limit)
        );
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// The socket that asks, and three others, of which one has a token that ends before the extended session.
#[tokio::test]
async fn extension_reaches_each_socket_of_both_gateways_once() {
    let cluster = Cluster::builder(POSTERN)
        .worker_env("POSTERN_SESSION_TIMEOUT", "12s")
        .start()
        .await;
    let long = claims(USER, HOUR);
    // Half of the timeout from now the session has been warned of, and the token ends before the extended session.
    let short = claims(USER, Duration::from_secs(14));
    let asks = connect(&cluster, 0, &long).await;
    let others = [
        (connect(&cluster, 0, &long).await, &long),
        (connect(&cluster, 1, &long).await, &long),
        (connect(&cluster, 1, &short).await, &short),
    ];
    for socket in others.iter().map(|(socket, _)| socket).chain([&asks]) {
        socket.next_event("security:session_warning").await;
    }
    let answer = asks.emit_with_ack("security:extend_session", json!({})).await;
    assert_eq!(
        (&answer["success"], &answer["canExtend"]),
        (&json!(true), &json!(true)),
        "{answer}"
    );
    assert_eq!(
        extensions(&asks).await,
        std::slice::from_ref(&answer),
        "the event of the answer"
    );
    for (socket, claims) in &others {
        let extended = extensions(socket).await;
        let [extended] = extended.as_slice() else {
            panic!("one event was expected: {extended:?}");
        };
        assert_ends(extended, claims);
        let difference = time(extended, "sessionExpiresAt").as_millis() - time(&answer, "sessionExpiresAt").as_millis();
        assert!(difference.abs() < 5_000, "one end for all sockets: {difference} ms");
        let limit = (*claims == &short).then_some("token_expires_first");
        assert_eq!(extended["reason"].as_str(), limit, "{extended}");
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Payloads of `security:session_extended` that a socket receives before the next warning, or its end.
async fn extensions(socket: &SocketIo) -> Vec<Value> {
    let mut extensions = Vec::new();
    while let Ok(event) = socket.next_or_end().await {
        match event.name.as_str() {
            "security:session_extended" => extensions.push(event.data),
            "security:session_warning" | "security:session_expired" => break,
            _ => {}
        }
    }
    extensions
}

async fn connect(cluster: &Cluster, gateway: usize, claims: &Value) -> SocketIo {
    SocketIo::connect(&cluster.endpoint(gateway), &cluster.token_with(claims))
        .await
        .unwrap()
}

/// Asserts that the ends are consistent, and that of the token is its own.
fn assert_ends(data: &Value, claims: &Value) {
    let (session, token) = (time(data, "sessionExpiresAt"), time(data, "tokenExpiresAt"));
    assert_eq!(time(data, "expiresAt"), session.min(token), "{data}");
    assert_eq!(Some(token.as_secs()), claims["exp"].as_i64(), "{data}");
    let left = session.since(time(data, "serverTime"));
    assert!(left <= HOUR / 2 && !left.is_zero(), "{data}");
}

fn time(data: &Value, field: &str) -> Timestamp {
    serde_json::from_value(data[field].clone()).unwrap()
}

const HOUR: Duration = Duration::from_hours(1);
