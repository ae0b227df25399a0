//! A Redis that answers and refuses: whoever starts a node, or waits on it, reads the server's own reply.

use bus::RedisSettings;
use protocol::fault::chain;
use testkit::port::Port;
use testkit::{Redis, wait};

use crate::nodes::connect_as;
use crate::sample::{event, user};

#[tokio::test]
async fn permissions_that_are_missing_are_named_as_noperm() {
    let redis = Redis::start().await;
    for (missing, rights) in [
        ("any channel", &["+@all", "~*", "resetchannels"][..]),
        ("our channels", &["+@all", "~*", "resetchannels", "&other:*"]),
        ("any key", &["+@all", "resetkeys", "&*"]),
        ("our keys", &["+@all", "~other:*", "&*"]),
        ("writes", &["+@all", "%R~*", "&*"]),
        ("scripts", &["+@all", "-@scripting", "~*", "&*"]),
        ("commands in scripts", &["+@all", "-del", "~*", "&*"]),
        ("announcements", &["+@all", "-spublish", "~*", "&*"]),
        ("subscriptions", &["+@all", "-ssubscribe", "~*", "&*"]),
        ("SELECT", &["+@all", "-select", "~*", "&*"]),
    ] {
        let mut command = vec!["ACL", "SETUSER", "gate", "reset", "on", ">right"];
        command.extend(rights);
        redis.command(&command).await;
        let said = failure(&format!("redis://gate:right@{}", redis.addr())).await;
        // Within a script Redis 7.0 says it in words.
        let named = said.contains("NOPERM") || said.contains("user executing the script can't");
        assert!(named && !said.contains("right@"), "{missing}: {said}");
    }
}

#[tokio::test]
async fn a_node_of_a_cluster_is_named_by_its_redirection() {
    let (few, many) = (cluster_node().await, cluster_node().await);
    few.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "99"]).await;
    let said = failure(&few.url()).await;
    assert!(said.contains("CLUSTERDOWN"), "slots of nobody: {said}");

    many.command(&["CLUSTER", "ADDSLOTSRANGE", "100", "16383"]).await;
    few.command(&["CLUSTER", "MEET", "127.0.0.1", &many.port().to_string()])
        .await;
    wait::until_true("the nodes to form a cluster", wait::deadline(), async || {
        few.command(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok")
    })
    .await;
    let said = failure(&few.url()).await;
    assert!(
        said.contains("MOVED") && said.contains(&many.port().to_string()),
        "{said}"
    );
}

/// One node that has every slot is like any Redis.
#[tokio::test]
async fn a_cluster_of_one_node_is_taken() {
    let node = cluster_node().await;
    node.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    wait::until_true("the node to have all slots", wait::deadline(), async || {
        node.command(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok")
    })
    .await;
    let bus = connect_as(&settings(&node.url())).await.unwrap();
    bus.listen().await.unwrap();
}

#[tokio::test]
async fn a_password_that_is_missing_or_wrong_is_named() {
    let redis = Redis::start().await;
    redis.command(&["ACL", "SETUSER", "default", "off"]).await;
    let said = failure(&redis.url()).await;
    assert!(said.contains("NOAUTH"), "{said}");
    let said = failure(&format!("redis://:hunter2@{}", redis.addr())).await;
    assert!(said.contains("WRONGPASS") && !said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn a_replica_is_named_as_read_only_or_as_without_its_primary() {
    let (redis, nobody) = (Redis::start().await, Port::claim());
    redis
        .command(&["REPLICAOF", "127.0.0.1", &nobody.number().to_string()])
        .await;
    let said = failure(&redis.url()).await;
    assert!(said.contains("READONLY"), "{said}");
    redis
        .command(&["CONFIG", "SET", "replica-serve-stale-data", "no"])
        .await;
    let said = failure(&redis.url()).await;
    assert!(said.contains("MASTERDOWN"), "{said}");
}

#[tokio::test]
async fn a_redis_that_loads_its_data_is_named_as_loading() {
    let redis = Redis::start().await;
    redis.command(&["DEBUG", "POPULATE", "5000", "key", "200"]).await;
    redis
        .command(&["CONFIG", "SET", "loading-process-events-interval-bytes", "1024"])
        .await;
    redis.command(&["CONFIG", "SET", "key-load-delay", "5000"]).await;
    let observed = async {
        wait::until_true("Redis to load", wait::deadline(), async || {
            redis.command(&["INFO", "persistence"]).await.contains("loading:1")
        })
        .await;
        let said = failure(&redis.url()).await;
        redis.command(&["CONFIG", "SET", "key-load-delay", "0"]).await;
        said
    };
    let (said, _) = tokio::join!(observed, redis.command(&["DEBUG", "RELOAD"]));
    assert!(said.contains("LOADING"), "{said}");
}

/// While the server turns a connection away, a command would only be told that it was not answered.
#[tokio::test]
async fn a_password_that_was_changed_is_named_by_the_commands_of_a_running_node() {
    let redis = Redis::start().await;
    redis
        .command(&["ACL", "SETUSER", "gate", "on", ">right", "+@all", "~*", "&*"])
        .await;
    let bus = connect_as(&settings(&format!("redis://gate:right@{}", redis.addr())))
        .await
        .unwrap();
    redis.command(&["ACL", "SETUSER", "gate", "resetpass", ">other"]).await;
    redis.command(&["CLIENT", "KILL", "USER", "gate"]).await;
    wait::until_true("the refusal to be named", wait::deadline(), async || {
        let published = bus.publish(&user("GEN-001"), &event(1)).await;
        published.is_err_and(|error| chain(&error).contains("WRONGPASS"))
    })
    .await;
    assert!(!bus.is_live());
}

/// Why a node that starts on this Redis does not get to subscribe for its first user.
async fn failure(url: &str) -> String {
    let bus = match connect_as(&settings(url)).await {
        Ok(bus) => bus,
        Err(error) => return chain(&error),
    };
    let feed = match bus.listen().await {
        Ok((feed, _heard)) => feed,
        Err(error) => return chain(&error),
    };
    match feed.subscribe(&user("GEN-001")).await {
        Ok(()) => "nothing was refused".to_owned(),
        Err(error) => chain(&error),
    }
}

async fn cluster_node() -> Redis {
    Redis::start_with(&["--cluster-enabled", "yes"]).await
}

fn settings(url: &str) -> RedisSettings {
    RedisSettings {
        url: url.parse().unwrap(),
        prefix: "pn".parse().unwrap(),
        limits_url: None,
        ca: None,
    }
}
