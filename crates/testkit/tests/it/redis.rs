//! Real Redis servers: what they answer, how they break, and that they end.

use std::time::{Duration, Instant};

use testkit::{Redis, wait};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_server_answers_and_keeps_the_settings_that_sessions_rely_on() {
    let redis = Redis::start().await;
    assert_eq!(redis.command(&["PING"]).await, "PONG");
    assert_eq!(
        redis.command(&["CONFIG", "GET", "maxmemory-policy"]).await,
        "maxmemory-policy\nnoeviction"
    );
    assert_eq!(
        redis.command(&["CONFIG", "GET", "notify-keyspace-events"]).await,
        "notify-keyspace-events\nxE"
    );
    assert_eq!(redis.command(&["GET", "missing"]).await, "");
    assert!(redis.command(&["INFO", "server"]).await.contains("redis_version:"));
}

#[tokio::test]
async fn a_dump_holds_the_values_of_every_type_under_the_prefix() {
    let redis = Redis::shared().await;
    let prefix = redis.prefix();
    let key = |name: &str| format!("{prefix}:{name}");
    redis.command(&["SET", &key("string"), "in a string"]).await;
    redis.command(&["HSET", &key("hash"), "field", "in a hash"]).await;
    redis.command(&["RPUSH", &key("list"), "in a list"]).await;
    redis.command(&["SADD", &key("set"), "in a set"]).await;
    redis.command(&["ZADD", &key("zset"), "1", "in a sorted set"]).await;
    redis
        .command(&["XADD", &key("stream"), "*", "field", "in a stream"])
        .await;
    let dump = redis.dump(&prefix).await;
    for kind in ["a string", "a hash", "a list", "a set", "a sorted set", "a stream"] {
        assert!(dump.contains(&format!("in {kind}")), "{kind} is missing in:\n{dump}");
    }
    assert_eq!(redis.dump(&redis.prefix()).await, "");
}

#[tokio::test]
async fn every_caller_of_the_shared_server_gets_a_prefix_of_its_own() {
    let (one, other) = (Redis::shared().await, Redis::shared().await);
    assert_eq!(one.port(), other.port());
    assert_ne!(one.prefix(), other.prefix());
}

#[tokio::test]
async fn a_killed_server_comes_back_empty_on_the_same_port() {
    let mut redis = Redis::start().await;
    let port = redis.port();
    redis.command(&["SET", "key", "value"]).await;
    redis.kill().await;
    assert!(TcpStream::connect(redis.addr()).await.is_err());
    redis.restart().await;
    assert_eq!(redis.port(), port);
    assert_eq!(redis.command(&["GET", "key"]).await, "");
}

#[tokio::test]
async fn a_paused_server_keeps_silent_until_it_is_resumed() {
    let mut redis = Redis::start().await;
    redis.pause();
    let silence = tokio::time::timeout(Duration::from_millis(200), redis.command(&["PING"])).await;
    assert!(silence.is_err());
    redis.resume();
    assert_eq!(redis.command(&["PING"]).await, "PONG");
}

#[tokio::test]
async fn a_server_ends_with_its_handle_even_when_it_is_paused() {
    let mut redis = Redis::start().await;
    redis.pause();
    let (pid, addr) = (redis.pid(), redis.addr());
    drop(redis);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the time that a start really takes")]
async fn a_start_takes_no_longer_than_a_test_can_spare() {
    let start = Instant::now();
    let _redis = Redis::start().await;
    assert!(start.elapsed() < wait::deadline() / 10, "it took {:?}", start.elapsed());
}
