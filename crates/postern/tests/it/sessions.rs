//! Sessions over gateways and processes: one expiry for all sockets on every gateway, and a final end.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::Redis;
use testkit::client::SocketIo;
use testkit::cluster::Cluster;
use testkit::token::claims;
use testkit::wait;
use tokio::time::Instant;

use crate::stage::POSTERN;

#[tokio::test]
async fn activity_on_one_gateway_keeps_the_session_alive_on_another() {
    let cluster = Cluster::builder(POSTERN)
        .worker_env("POSTERN_SESSION_TIMEOUT", "6s")
        // Pings pace the loop: the warning comes after 3 of them.
        .gateway_env("POSTERN_HEARTBEAT_INTERVAL", "1s")
        .start()
        .await;
    let (active, quiet) = (client(&cluster, 0, "s-1").await, client(&cluster, 1, "s-1").await);
    for _ in 0..9 {
        assert_eq!(
            active.emit_with_ack("account:list", json!({})).await["success"],
            json!(true)
        );
        active.next_ping().await;
    }
    assert_eq!(quiet.unread(), [], "nobody was warned or ended");
    for socket in [&active, &quiet] {
        assert_warned_and_ended_once(socket).await;
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn activity_after_the_warning_cancels_the_end_for_all() {
    let cluster = Cluster::builder(POSTERN)
        .worker_env("POSTERN_SESSION_TIMEOUT", "6s")
        // Pings pace the loop: the warning comes after 3 of them.
        .gateway_env("POSTERN_HEARTBEAT_INTERVAL", "1s")
        .start()
        .await;
    let (active, quiet) = (client(&cluster, 0, "s-1").await, client(&cluster, 1, "s-1").await);
    for socket in [&active, &quiet] {
        let warning = socket.next_event("security:session_warning").await;
        assert_eq!(warning.data["canExtend"], json!(true));
    }
    // A moment before the deadline.
    for _ in 0..2 {
        active.next_ping().await;
    }
    active.emit("account:list", json!({})).await;
    for socket in [&active, &quiet] {
        let extended = socket.next_event("security:session_extended").await;
        assert_eq!(extended.offset, None);
        assert_warned_and_ended_once(socket).await;
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_ended_session_is_closed_everywhere_and_stays_ended_when_redis_forgets() {
    let redis = Redis::start().await;
    let cluster = Cluster::builder(POSTERN).redis(&redis).start().await;
    let owner = client(&cluster, 0, "mine").await;
    let thieves = [client(&cluster, 0, "theirs").await, client(&cluster, 1, "theirs").await];
    let answer = owner
        .emit_with_ack("security:end_sessions", json!({"sessionId": "others"}))
        .await;
    assert_eq!(answer, json!({"success": true, "sessionsEnded": 1}));
    for thief in &thieves {
        let expired = thief.next_event("security:session_expired").await;
        assert_eq!(expired.data["reason"], json!("ended"));
        assert_eq!(thief.closed().await.code, 4403);
        assert!(thief.received_disconnect());
    }
    assert!(owner.is_open());
    assert_refused(&cluster, "theirs").await;
    redis.command(&["FLUSHALL"]).await;
    assert_refused(&cluster, "theirs").await;
    let again = client(&cluster, 1, "mine").await;
    assert!(again.is_open() && owner.is_open());
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_session_that_idled_out_does_not_come_back_on_its_old_token() {
    let redis = Redis::start().await;
    let cluster = Cluster::builder(POSTERN)
        .redis(&redis)
        .worker_env("POSTERN_SESSION_TIMEOUT", "2s")
        .start()
        .await;
    let old = token(&cluster, "s-1", 0);
    let socket = SocketIo::connect(&cluster.endpoint(0), &old).await.unwrap();
    socket.next_event("security:session_expired").await;
    redis.command(&["FLUSHALL"]).await;
    let refused = SocketIo::connect(&cluster.endpoint(1), &old).await.unwrap_err();
    assert!(refused.to_string().contains("unauthenticated"), "{refused}");
    // Issued after the end.
    let new = token(&cluster, "s-1", 10);
    assert!(SocketIo::connect(&cluster.endpoint(1), &new).await.unwrap().is_open());
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_timeout_of_a_minute_takes_effect_at_once_on_every_gateway() {
    let cluster = Cluster::builder(POSTERN).start().await;
    let (active, quiet) = (client(&cluster, 0, "s-1").await, client(&cluster, 1, "s-2").await);
    let (old, joined) = (token(&cluster, "s-2", 0), Instant::now());
    let update = json!({"userId": "GEN-001", "settings": {"sessionTimeout": 1}});
    let answer = active.emit_with_ack("security:update_settings", update).await;
    assert_eq!(answer["success"], json!(true), "{answer}");
    // Half of the timeout before the warning, half of it after. Both sessions were active a moment ago.
    for (event, after) in [("security:session_warning", 30), ("security:session_expired", 60)] {
        for socket in [&active, &quiet] {
            let received = socket.next_event_within(event, Duration::from_secs(90)).await;
            let (late, expected) = (joined.elapsed(), Duration::from_secs(after));
            assert!(
                late + TOLERANCE > expected && late < expected + TOLERANCE,
                "{event} after {late:?}"
            );
            if event == "security:session_warning" {
                let left = received.data["expiresIn"].as_u64().unwrap();
                assert!((20..=30).contains(&left), "{left}");
                assert_eq!(received.data["canExtend"], json!(true));
            }
        }
    }
    assert_eq!((active.closed().await.code, quiet.closed().await.code), (4401, 4401));
    // The shorter deadline survives Redis too: the token is older than it.
    let again = SocketIo::connect(&cluster.endpoint(0), &old).await.unwrap_err();
    assert!(again.to_string().contains("unauthenticated"), "{again}");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Tolerance between simultaneous events on a busy machine.
const TOLERANCE: Duration = Duration::from_secs(10);

/// A client of GEN-001 in one of its sessions.
async fn client(cluster: &Cluster, gateway: usize, session: &str) -> SocketIo {
    SocketIo::connect(&cluster.endpoint(gateway), &token(cluster, session, 0))
        .await
        .unwrap()
}

/// A token of GEN-001 that is, or will be, issued so many seconds from now.
fn token(cluster: &Cluster, session: &str, issued_in: u64) -> String {
    let mut claims: Value = claims("GEN-001", Duration::from_secs(3600));
    claims["sid"] = json!(session);
    claims["iat"] = json!(claims["iat"].as_u64().unwrap() + issued_in);
    cluster.token_with(&claims)
}

async fn assert_refused(cluster: &Cluster, session: &str) {
    let refused = SocketIo::connect(&cluster.endpoint(1), &token(cluster, session, 10)).await;
    let refused = refused.unwrap_err();
    assert!(refused.to_string().contains("forbidden"), "{refused}");
}

/// Asserts one warning and one expiry, and no other event of the session.
async fn assert_warned_and_ended_once(socket: &SocketIo) {
    socket
        .next_event_within("security:session_warning", wait::deadline())
        .await;
    let expired = socket
        .next_event_within("security:session_expired", wait::deadline())
        .await;
    assert_eq!(expired.data["reason"], json!("idle"));
    assert_eq!(socket.closed().await.code, 4401);
    assert!(socket.received_disconnect(), "it does not come back by itself");
    let left: Vec<String> = socket.unread().into_iter().map(|event| event.name).collect();
    assert!(!left.iter().any(|name| name.starts_with("security:")), "{left:?}");
}
