//! Session warning and expiry are detected in two ways: keyspace notifications of Redis, and the gateway's own timers. Each is tested
//! with the other one disabled.

use std::time::Duration;

use bus::{SessionKey, SessionRegistry};
use protocol::id::{SessionId, UserId};
use serde_json::json;
use testkit::{Redis, SocketIo, wait};

use crate::test_gateway::TestGateway;

#[tokio::test]
async fn session_expires_by_redis_notifications_alone() {
    let gateway = TestGateway::on(Redis::shared().await).await;
    gateway.metric_is(ANNOUNCED, 1.0).await;
    gateway.bus.postpone_timers();
    let socket = quiet_socket(&gateway).await;
    gateway.bus.expire_unknown_sessions();
    assert_warned_and_ended(&socket).await;
}

#[tokio::test]
async fn session_expires_by_timers_alone_without_redis_notifications() {
    let redis = Redis::start().await;
    redis
        .command(&["CONFIG", "SET", "notify-keyspace-events", "", "hz", "1"])
        .await;
    let gateway = TestGateway::on(&redis).await;
    let socket = quiet_socket(&gateway).await;
    let opened = tokio::time::Instant::now();
    gateway.bus.expire_unknown_sessions();
    assert_warned_and_ended(&socket).await;
    assert!(opened.elapsed() > LIFE / 2, "not before it was due");
    assert!(gateway.metric(ANNOUNCED) < 0.5, "nothing was announced");
}

/// The timeout changes without an event: the gateway's timers stay at half an hour.
#[tokio::test]
async fn shortened_timeout_takes_effect_by_redis_notifications_alone() {
    let gateway = TestGateway::on(Redis::shared().await).await;
    gateway.metric_is(ANNOUNCED, 1.0).await;
    let socket = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let key = SessionKey {
        user: UserId::new("u").unwrap(),
        session: SessionId::new(SessionId::DEFAULT).unwrap(),
    };
    // A slow gateway may find the session gone before the end that it knows of.
    gateway.bus.expire_unknown_sessions();
    gateway.bus.set_timeout(&key, LIFE, LIFE / 2).await.unwrap();
    assert_warned_and_ended(&socket).await;
}

#[tokio::test]
async fn metric_reports_whether_redis_notifications_are_enabled() {
    let redis = Redis::start().await;
    let gateway = TestGateway::on(&redis).await;
    gateway.metric_is(ANNOUNCED, 1.0).await;
    // The gateway checks the setting on each connection.
    redis.command(&["CONFIG", "SET", "notify-keyspace-events", ""]).await;
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    gateway.metric_is(ANNOUNCED, 0.0).await;
}

/// `volatile-lru`, the default of some managed servers, evicts sessions when memory runs out.
#[tokio::test]
async fn evicted_session_is_reopened_or_ended_by_a_worker() {
    tokio::join!(evicted(true), evicted(false));
}

async fn evicted(goes_on: bool) {
    let redis = Redis::start().await;
    let gateway = TestGateway::on(&redis).await;
    let socket = socket_of_a_session(&gateway, 2 * LIFE).await;
    if !goes_on {
        gateway.bus.expire_unknown_sessions();
    }
    evict_all(&redis).await;
    if goes_on {
        // The session was reopened with its full timeout, and is warned at half of it.
        socket.next_event("security:session_warning").await;
        assert!(socket.is_open());
    } else {
        let expired = socket.next_event("security:session_expired").await;
        assert_eq!(expired.data["reason"], json!("idle"));
        assert_eq!(socket.closed().await.code, 4401);
    }
}

/// Limits the memory of Redis until every key with a TTL is evicted.
async fn evict_all(redis: &Redis) {
    let evict = ["CONFIG", "SET", "maxmemory-policy", "volatile-lru", "maxmemory", "1"];
    redis.command(&evict).await;
    wait::until_true("the session to be evicted", wait::deadline(), async || {
        !redis.command(&["KEYS", "*:s:*"]).await.contains(":s:")
    })
    .await;
    let evicted = redis.command(&["INFO", "stats"]).await;
    assert!(!evicted.contains("evicted_keys:0"), "{evicted}");
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
}

/// Opens a socket of a session without activity.
async fn quiet_socket(gateway: &TestGateway) -> SocketIo {
    socket_of_a_session(gateway, LIFE).await
}

async fn socket_of_a_session(gateway: &TestGateway, life: Duration) -> SocketIo {
    gateway.bus.set_session_timeout(life);
    SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap()
}

async fn assert_warned_and_ended(socket: &SocketIo) {
    let warning = socket
        .next_event_within("security:session_warning", wait::deadline())
        .await;
    assert_eq!(warning.data["userId"], json!("u"));
    let expired = socket
        .next_event_within("security:session_expired", wait::deadline())
        .await;
    assert_eq!(expired.data["reason"], json!("idle"));
    assert_eq!(socket.closed().await.code, 4401);
}

const LIFE: Duration = Duration::from_secs(4);
const ANNOUNCED: &str = "postern_bus_expiries_arrive";
