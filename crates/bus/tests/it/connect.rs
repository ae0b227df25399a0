//! Connecting: server, credentials, and the error of a failed start.

use std::time::Duration;

use bus::{Bucket, ConnectError, Quota, RedisSettings};
use protocol::fault::chain;
use testkit::Redis;
use testkit::port::Port;

use crate::nodes::connect_as;
use crate::sample::{publish, user};

#[tokio::test]
async fn database_of_the_url_is_used() {
    let redis = Redis::start().await;
    let bus = connect_as(&settings(&format!("{}/3", redis.url()))).await.unwrap();
    publish(&*bus, &user("GEN-001"), 1).await;
    let keys = redis.command(&["INFO", "keyspace"]).await;
    assert!(keys.contains("db3:") && !keys.contains("db0:"), "{keys}");
}

#[tokio::test]
async fn rate_cells_use_a_redis_of_their_own() {
    let redis = Redis::start().await;
    let settings = RedisSettings {
        limits_url: Some(format!("{}/7", redis.url()).parse().unwrap()),
        ..settings(&redis.url())
    };
    let bus = connect_as(&settings).await.unwrap();
    let bucket = Bucket {
        name: "connect",
        scope: None,
    };
    let quota = Quota {
        count: 1,
        period: Duration::from_secs(60),
    };
    bus.admit(&user("GEN-001"), &bucket, quota).await.unwrap();
    let keys = redis.command(&["INFO", "keyspace"]).await;
    assert!(keys.contains("db7:") && !keys.contains("db0:"), "{keys}");
}

#[tokio::test]
async fn unreachable_redis_is_reported_without_its_password() {
    let port = Port::claim();
    let url = format!("redis://gate:hunter2@{}/3", port.addr());
    let error = refused(&settings(&url)).await;
    let line = chain(&error);
    assert!(
        line.starts_with(&format!("connect to redis://{}/3: ", port.addr())),
        "{line}"
    );
    assert!(!line.contains("hunter2"), "{line}");
}

#[tokio::test]
async fn wrong_password_fails_the_start() {
    let redis = Redis::start().await;
    redis
        .command(&["ACL", "SETUSER", "gate", "on", ">right", "+@all", "~*", "&*"])
        .await;
    let url = |password| format!("redis://gate:{password}@{}", redis.addr());
    let error = refused(&settings(&url("hunter2"))).await;
    let line = chain(&error);
    assert!(line.contains("WRONGPASS") && !line.contains("hunter2"), "{line}");
    connect_as(&settings(&url("right"))).await.unwrap();
}

/// Error of a bus with these settings.
async fn refused(settings: &RedisSettings) -> ConnectError {
    connect_as(settings).await.err().expect("connected with these settings")
}

fn settings(url: &str) -> RedisSettings {
    RedisSettings::new(url.parse().unwrap())
}
