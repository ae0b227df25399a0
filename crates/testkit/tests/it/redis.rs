//! Real Redis servers: replies, faults, and end.

use std::time::{Duration, Instant};

use testkit::{Redis, wait};
use tokio::net::TcpStream;

#[tokio::test]
async fn server_responds_and_has_the_settings_of_sessions() {
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
async fn monitor_reports_each_command_once_with_the_commands_of_its_script() {
    let redis = Redis::start().await;
    let monitor = redis.monitor().await;
    redis.command(&["SET", "key", "a value] of words"]).await;
    redis
        .command(&[
            "EVAL",
            "redis.call('GET', KEYS[1]) redis.call('DEL', KEYS[1])",
            "1",
            "key",
        ])
        .await;
    let calls = monitor.take().await;
    let [set, script] = calls.as_slice() else {
        panic!("{calls:?}")
    };
    assert_eq!(
        (set.command.as_str(), set.commands()),
        (r#""SET" "key" "a value] of words""#, 1)
    );
    assert_eq!(script.inner, [r#""GET" "key""#, r#""DEL" "key""#]);
    assert!(set.contains("a value] of words") && !script.contains("words"));
    redis.command(&["PING"]).await;
    let later = monitor.take().await;
    assert_eq!(
        later.iter().map(|call| &call.command).collect::<Vec<_>>(),
        [r#""PING""#]
    );
}

#[tokio::test]
async fn dump_contains_values_of_every_type_under_the_prefix() {
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
async fn callers_of_the_shared_server_get_distinct_prefixes() {
    let (one, other) = (Redis::shared().await, Redis::shared().await);
    assert_eq!(one.port(), other.port());
    assert_ne!(one.prefix(), other.prefix());
}

#[tokio::test]
async fn killed_server_restarts_empty_on_the_same_port() {
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
async fn paused_server_is_silent_until_resumed() {
    let mut redis = Redis::start().await;
    redis.pause();
    let silence = tokio::time::timeout(Duration::from_millis(200), redis.command(&["PING"])).await;
    assert!(silence.is_err());
    redis.resume();
    assert_eq!(redis.command(&["PING"]).await, "PONG");
}

#[tokio::test]
async fn paused_server_ends_with_its_handle() {
    let mut redis = Redis::start().await;
    redis.pause();
    let (pid, addr) = (redis.pid(), redis.addr());
    drop(redis);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the time that a start really takes")]
async fn server_starts_within_its_bound() {
    let start = Instant::now();
    let _redis = Redis::start().await;
    assert!(start.elapsed() < wait::deadline() / 10, "it took {:?}", start.elapsed());
}
