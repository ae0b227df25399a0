//! Warning and end of a session come by two ways: Redis announces that a key has ended, and the gateway's own timers ask. Each
//! is tried alone.

use std::time::Duration;

use bus::{SessionKey, SessionRegistry};
use protocol::id::{SessionId, UserId};
use serde_json::json;
use testkit::{Redis, SocketIo, wait};

use crate::house::House;

#[tokio::test]
async fn a_session_is_warned_and_ended_by_what_redis_announces_alone() {
    let house = House::on(Redis::shared().await).await;
    house.metric_is(ANNOUNCED, 1.0).await;
    house.line.postpone_timers();
    let socket = quiet_socket(&house).await;
    house.line.let_sessions_idle_out();
    assert_warned_and_ended(&socket).await;
}

#[tokio::test]
async fn a_session_is_warned_and_ended_by_timers_alone_where_redis_announces_nothing_and_expires_slowly() {
    let redis = Redis::start().await;
    redis
        .command(&["CONFIG", "SET", "notify-keyspace-events", "", "hz", "1"])
        .await;
    let house = House::on(&redis).await;
    let socket = quiet_socket(&house).await;
    let opened = tokio::time::Instant::now();
    house.line.let_sessions_idle_out();
    assert_warned_and_ended(&socket).await;
    assert!(opened.elapsed() > LIFE / 2, "not before it was due");
    assert!(house.metric(ANNOUNCED) < 0.5, "nothing was announced");
}

/// As when the event that tells of it is lost: the gateway's timers are set to half an hour.
#[tokio::test]
async fn a_timeout_that_was_shortened_takes_effect_by_what_redis_announces_alone() {
    let house = House::on(Redis::shared().await).await;
    house.metric_is(ANNOUNCED, 1.0).await;
    let socket = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let key = SessionKey {
        user: UserId::new("u").unwrap(),
        session: SessionId::new(SessionId::DEFAULT).unwrap(),
    };
    house.line.set_timeout(&key, LIFE, LIFE / 2).await.unwrap();
    assert_warned_and_ended(&socket).await;
}

#[tokio::test]
async fn the_metric_follows_what_redis_announces() {
    let redis = Redis::start().await;
    let house = House::on(&redis).await;
    house.metric_is(ANNOUNCED, 1.0).await;
    // It is looked at again with each connection.
    redis.command(&["CONFIG", "SET", "notify-keyspace-events", ""]).await;
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    house.metric_is(ANNOUNCED, 0.0).await;
}

/// `volatile-lru`, the default of some managed servers, throws sessions away when memory runs out.
#[tokio::test]
async fn a_session_that_redis_evicted_is_asked_for_again_and_goes_on_or_ends() {
    tokio::join!(evicted(true), evicted(false));
}

async fn evicted(goes_on: bool) {
    let redis = Redis::start().await;
    let house = House::on(&redis).await;
    let socket = socket_of_a_session(&house, 2 * LIFE).await;
    if !goes_on {
        house.line.let_sessions_idle_out();
    }
    evict_all(&redis).await;
    if goes_on {
        // Known again with its whole time, it is warned in the middle of that.
        socket.next_event("security:session_warning").await;
        assert!(socket.is_open());
    } else {
        let expired = socket.next_event("security:session_expired").await;
        assert_eq!(expired.data["reason"], json!("idle"));
        assert_eq!(socket.closed().await.code, 4401);
    }
}

/// Lets memory run out until every key with an end is gone.
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

/// A socket in a session that nothing happens in.
async fn quiet_socket(house: &House) -> SocketIo {
    socket_of_a_session(house, LIFE).await
}

async fn socket_of_a_session(house: &House, life: Duration) -> SocketIo {
    house.line.sessions_last(life);
    SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap()
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
