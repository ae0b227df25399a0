//! Sessions over gateways and processes: one end for all sockets, wherever they are, and one that nothing takes back.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::Redis;
use testkit::client::SocketIo;
use testkit::cluster::Cluster;
use testkit::token::claims;
use testkit::wait;

use crate::stage::POSTERN;

#[tokio::test]
async fn activity_on_one_gateway_keeps_the_session_alive_on_another() {
    let cluster = Cluster::builder(POSTERN)
        .worker_env("POSTERN_SESSION_TIMEOUT", "6s")
        // Pings set the pace: the warning comes after 3 of them.
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
        // Pings set the pace: the warning comes after 3 of them.
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
async fn every_socket_of_three_gateways_hears_one_warning_and_one_end() {
    end_of_many_sessions(async |_| {}).await;
}

#[tokio::test]
async fn so_it_is_when_redis_announces_nothing() {
    end_of_many_sessions(async |redis| {
        redis.command(&["CONFIG", "SET", "notify-keyspace-events", ""]).await;
    })
    .await;
}

#[tokio::test]
async fn so_it_is_when_every_subscriber_is_cut_off() {
    end_of_many_sessions(async |redis| {
        redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    })
    .await;
}

/// Sessions with a socket on each of three gateways come to their end, after something was done to Redis.
async fn end_of_many_sessions(meanwhile: impl AsyncFnOnce(&Redis)) {
    let redis = Redis::start().await;
    let cluster = Cluster::builder(POSTERN)
        .redis(&redis)
        .gateways(3)
        .worker_env("POSTERN_SESSION_TIMEOUT", "8s")
        .start()
        .await;
    let mut sockets = Vec::new();
    for session in 0..5 {
        for gateway in 0..3 {
            sockets.push(client(&cluster, gateway, &format!("s-{session}")).await);
        }
    }
    meanwhile(&redis).await;
    for socket in &sockets {
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
        assert!(thief.was_dismissed());
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
    let socket = SocketIo::connect(&cluster.door(0), &old).await.unwrap();
    socket.next_event("security:session_expired").await;
    redis.command(&["FLUSHALL"]).await;
    let refused = SocketIo::connect(&cluster.door(1), &old).await.unwrap_err();
    assert!(refused.to_string().contains("unauthenticated"), "{refused}");
    // Issued after the end.
    let new = token(&cluster, "s-1", 10);
    assert!(SocketIo::connect(&cluster.door(1), &new).await.unwrap().is_open());
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// A client of GEN-001 in one of its sessions.
async fn client(cluster: &Cluster, gateway: usize, session: &str) -> SocketIo {
    SocketIo::connect(&cluster.door(gateway), &token(cluster, session, 0))
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
    let refused = SocketIo::connect(&cluster.door(1), &token(cluster, session, 10)).await;
    let refused = refused.unwrap_err();
    assert!(refused.to_string().contains("forbidden"), "{refused}");
}

/// One warning and one end, and nothing else that concerns the session.
async fn assert_warned_and_ended_once(socket: &SocketIo) {
    socket
        .next_event_within("security:session_warning", wait::deadline())
        .await;
    let expired = socket
        .next_event_within("security:session_expired", wait::deadline())
        .await;
    assert_eq!(expired.data["reason"], json!("idle"));
    assert_eq!(socket.closed().await.code, 4401);
    assert!(socket.was_dismissed(), "it does not come back by itself");
    let left: Vec<String> = socket.unread().into_iter().map(|event| event.name).collect();
    assert!(!left.iter().any(|name| name.starts_with("security:")), "{left:?}");
}
