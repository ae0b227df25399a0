//! Connecting: server, credentials, and the error of a failed start.

use std::time::Duration;

use bus::{Bucket, ChallengeKey, ConnectError, Quota, RedisSettings};
use protocol::cluster::job::Lane;
use protocol::fault::chain;
use testkit::port::Port;
use testkit::{Redis, wait};

use crate::nodes::{SHORT_WAIT, TestSubscriptions, connect_as};
use crate::sample::{job, node, publish, reply, user, worker};

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

/// Permissions of the node's Redis user, by ACL rules.
#[tokio::test]
async fn user_with_the_documented_permissions_suffices() {
    let redis = Redis::start().await;
    let rights = [
        "-@all",
        "+hello",
        "+select",
        "+ping",
        "+time",
        "+info",
        "+client|id",
        "+evalsha",
        "+eval",
        "+ssubscribe",
        "+sunsubscribe",
        "+spublish",
        "+xreadgroup",
        "+set",
        "+mget",
        "+getdel",
        "+ttl",
        "+expire",
        "+del",
        "+hmget",
        "+hset",
        "+hget",
        "+hgetall",
        "+hvals",
        "+hlen",
        "+hdel",
        "+pttl",
        "+pexpire",
        "+hincrby",
        "+zscore",
        "+zadd",
        "+zcard",
        "+zremrangebyrank",
        "+xadd",
        "+xrange",
        "+xlen",
        "+xack",
        "+xdel",
        "+xpending",
        "+xclaim",
        "+xgroup|create",
        "+xgroup|delconsumer",
        "+xinfo|consumers",
        "+get",
        "+decrby",
    ];
    let mut command = vec![
        "ACL",
        "SETUSER",
        "gate",
        "on",
        ">right",
        "~pn:*",
        "resetchannels",
        "&pn:*",
    ];
    command.extend(rights);
    redis.command(&command).await;
    let bus = connect_as(&settings(&format!("redis://gate:right@{}", redis.addr())))
        .await
        .unwrap();

    let (user, lane, node) = (user("GEN-001"), Lane::Interactive, node("gw-1"));
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    let mut replies = bus.subscribe_replies(&node).await.unwrap();
    subscriptions.handle.subscribe(&user).await.unwrap();
    let offset = publish(&*bus, &user, 1).await;
    assert_eq!(subscriptions.next_seq().await, 1);
    bus.read_log(&user, &offset, 9).await.unwrap();
    bus.submit(lane, &job("j-1", 1), Duration::from_secs(60)).await.unwrap();
    let claimed = bus.claim(lane, &worker("w-1"), 1, wait::deadline()).await.unwrap();
    // Waits long enough for reclaims: this job is reclaimed, and finally becomes a dead letter.
    for by in ["w-2", "w-3"] {
        bus.claim(lane, &worker(by), 1, Duration::from_secs(4)).await.unwrap();
    }
    bus.renew(lane, &worker("w-1"), &[claimed[0].entry.clone()])
        .await
        .unwrap();
    bus.finish(lane, &claimed[0].entry).await.unwrap();
    bus.reply(&node, &reply("j-1")).await.unwrap();
    assert_eq!(replies.recv().await.unwrap(), reply("j-1"));
    assert_eq!(bus.stored_replies(&node, &[reply("j-1").job]).await.unwrap().len(), 1);
    let key = ChallengeKey::State {
        hash: "00ff".to_owned(),
    };
    let owned = ChallengeKey::Confirmation {
        user: user.clone(),
        hash: "00ff".to_owned(),
    };
    for key in [key, owned] {
        bus.put(&key, b"encrypted", Duration::from_secs(60)).await.unwrap();
        assert!(bus.read(&key).await.unwrap().is_some() && bus.take(&key).await.unwrap().is_some());
    }
    bus.delete_all(&user, bus::ChallengeKind::Authorize).await.unwrap();
    let bucket = Bucket {
        name: "connect",
        scope: None,
    };
    let quota = Quota {
        count: 1,
        period: Duration::from_secs(60),
    };
    bus.admit(&user, &bucket, quota).await.unwrap();
    subscriptions.handle.unsubscribe(&user);
    assert_eq!(redis.command(&["ACL", "LOG"]).await, "", "no command was refused");
    bus.claim(lane, &worker("w-1"), 1, SHORT_WAIT).await.unwrap();
}

#[tokio::test]
async fn user_without_info_is_refused_with_the_reason() {
    let redis = Redis::start().await;
    redis
        .command(&["ACL", "SETUSER", "gate", "on", ">right", "+@all", "-info", "~*", "&*"])
        .await;
    let error = refused(&settings(&format!("redis://gate:right@{}", redis.addr()))).await;
    assert!(matches!(error, ConnectError::NoInfo { .. }), "{error:?}");
    assert!(chain(&error).contains("lacks permission for INFO"), "{}", chain(&error));
}

/// Error of a bus with these settings.
async fn refused(settings: &RedisSettings) -> ConnectError {
    connect_as(settings).await.err().expect("connected with these settings")
}

fn settings(url: &str) -> RedisSettings {
    RedisSettings::new(url.parse().unwrap())
}
