//! Replaced login: a rotation of the password of Redis.

use bus::RedisSettings;
use protocol::fault::chain;
use protocol::secret::Secret;
use testkit::{Redis, wait};

use crate::nodes::{TestSubscriptions, connect_as};
use crate::sample::{event, user};

#[tokio::test]
async fn password_is_rotated_without_a_cut_connection_and_the_old_one_is_refused_afterwards() {
    let redis = redis_with_gate("before").await;
    let settings = settings(&redis, "before");
    let bus = connect_as(&settings).await.unwrap();
    let owner = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    subscriptions.handle.subscribe(&owner).await.unwrap();
    let mut seq = 0;
    let mut publish = async || {
        seq += 1;
        bus.publish(&owner, &event(seq)).await.unwrap();
        assert_eq!(subscriptions.next_seq().await, seq);
    };
    publish().await;
    let connections = connections(&redis).await;

    redis.command(&["ACL", "SETUSER", "gate", ">after"]).await;
    publish().await;
    replace(&redis, &settings, "after");
    publish().await;
    redis.command(&["ACL", "SETUSER", "gate", "<before"]).await;
    publish().await;
    assert_eq!(self::connections(&redis).await, connections, "no connection was cut");

    let error = connect_as(&self::settings(&redis, "before")).await.err().unwrap();
    assert!(chain(&error).contains("WRONGPASS"), "{}", chain(&error));
}

#[tokio::test]
async fn connections_opened_after_the_rotation_use_the_new_password() {
    let redis = redis_with_gate("before").await;
    let settings = settings(&redis, "before");
    let bus = connect_as(&settings).await.unwrap();
    redis.command(&["ACL", "SETUSER", "gate", ">after", "<before"]).await;
    replace(&redis, &settings, "after");
    let before = connections(&redis).await;
    redis.command(&["CLIENT", "KILL", "USER", "gate"]).await;
    wait::until_true("new connections", wait::deadline(), async || {
        bus.publish(&user("GEN-001"), &event(1)).await.is_ok()
    })
    .await;
    assert!(connections(&redis).await.iter().all(|id| !before.contains(id)));
}

#[tokio::test]
async fn node_whose_password_was_removed_too_early_recovers_without_a_restart() {
    let redis = redis_with_gate("before").await;
    let settings = settings(&redis, "before");
    let bus = connect_as(&settings).await.unwrap();
    redis.command(&["ACL", "SETUSER", "gate", "resetpass", ">after"]).await;
    redis.command(&["CLIENT", "KILL", "USER", "gate"]).await;
    wait::until_true("the refusal", wait::deadline(), async || {
        let published = bus.publish(&user("GEN-001"), &event(1)).await;
        published.is_err_and(|error| chain(&error).contains("WRONGPASS"))
    })
    .await;
    replace(&redis, &settings, "after");
    wait::until_true("the bus to recover", wait::deadline(), async || {
        bus.publish(&user("GEN-001"), &event(1)).await.is_ok() && bus.is_live()
    })
    .await;
}

/// Redis with a user of all rights.
async fn redis_with_gate(password: &str) -> Redis {
    let redis = Redis::start().await;
    let password = format!(">{password}");
    redis
        .command(&["ACL", "SETUSER", "gate", "on", &password, "+@all", "~*", "&*"])
        .await;
    redis
}

/// Ids of the connections of that user.
async fn connections(redis: &Redis) -> Vec<String> {
    let list = redis.command(&["CLIENT", "LIST"]).await;
    let of_gate = list.lines().filter(|line| line.contains(" user=gate "));
    let id = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    of_gate.map(id).collect()
}

fn url(redis: &Redis, password: &str) -> String {
    format!("redis://gate:{password}@{}", redis.addr())
}

fn replace(redis: &Redis, settings: &RedisSettings, password: &str) {
    let url = Secret::new(url(redis, password));
    settings.url.replace_credentials(&url).unwrap();
}

fn settings(redis: &Redis, password: &str) -> RedisSettings {
    RedisSettings::new(url(redis, password).parse().unwrap())
}
