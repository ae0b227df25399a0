//! Permissions of the nodes' Redis user, and the start of a node that lacks one.

use std::net::SocketAddr;
use std::time::Duration;

use bus::{ConnectError, RedisSettings, acl_rules};
use protocol::cluster::job::Lane;
use protocol::fault::chain;
use testkit::{Redis, wait};

use crate::nodes::{SHORT_WAIT, TestSubscriptions, connect_as};
use crate::sample::{job, node, publish, reply, user, worker};

#[test]
fn documented_rules_are_those_of_the_command() {
    assert_eq!(
        documented_rules(),
        acl_rules(&"pn".parse().unwrap()),
        "docs/operations/redis.md"
    );
}

/// The contracts run with these permissions too, on another prefix.
#[tokio::test]
async fn user_with_the_documented_permissions_suffices() {
    let redis = Redis::start().await;
    set_user(&redis, &documented_rules()).await;
    let bus = connect_as(&settings(redis.addr())).await.unwrap();
    let (user, lane, node) = (user("GEN-001"), Lane::Interactive, node("gw-1"));
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    let mut replies = bus.subscribe_replies(&node).await.unwrap();
    let _expiries = bus.expiries();
    subscriptions.handle.subscribe(&user).await.unwrap();
    publish(&*bus, &user, 1).await;
    assert_eq!(subscriptions.next_seq().await, 1);
    bus.submit(lane, &job("j-1", 1), Duration::from_secs(60)).await.unwrap();
    let claimed = bus.claim(lane, &worker("w-1"), 1, wait::deadline()).await.unwrap();
    bus.finish(lane, &claimed[0].entry).await.unwrap();
    bus.reply(&node, &reply("j-1")).await.unwrap();
    assert_eq!(replies.recv().await.unwrap(), reply("j-1"));
    subscriptions.handle.unsubscribe(&user);
    bus.claim(lane, &worker("w-1"), 1, SHORT_WAIT).await.unwrap();
    assert_eq!(redis.command(&["ACL", "LOG"]).await, "", "no command was refused");
}

/// A user who lacks one of the documented permissions, after the other.
#[tokio::test]
async fn each_missing_permission_ends_the_start_with_its_name() {
    let redis = Redis::start().await;
    let rules = documented_rules();
    let commands = rules.split(' ').filter_map(|rule| rule.strip_prefix('+'));
    // HELLO is run by the default user, before the login; those of a cluster by its tests; the others are not needed.
    let others = [
        "hello",
        "asking",
        "cluster|nodes",
        "cluster|slots",
        "client|id",
        "client|info",
        "subscribe",
    ];
    let needed = commands.filter(|command| !others.contains(command));
    let mut tried = 0;
    for command in needed {
        set_user(&redis, &format!("{rules} -{command}")).await;
        let error = refused(redis.addr()).await;
        let line = chain(&error);
        assert!(
            line.to_lowercase().contains(command) && !line.contains("hunter2"),
            "{command}: {line}"
        );
        if let ConnectError::Missing { refusals, .. } = &error {
            let names: Vec<_> = refusals.iter().map(|refusal| refusal.command.to_lowercase()).collect();
            assert_eq!(names, [command], "{line}");
        }
        tried += 1;
    }
    assert!(tried > 40, "{tried}");
}

#[tokio::test]
async fn all_missing_permissions_are_reported_at_once() {
    let redis = Redis::start().await;
    set_user(
        &redis,
        &format!("{} -info -hset -xgroup|create -sunsubscribe", documented_rules()),
    )
    .await;
    let error = refused(redis.addr()).await;
    let ConnectError::Missing { refusals, .. } = &error else {
        panic!("{error:?}");
    };
    let mut names: Vec<_> = refusals.iter().map(|refusal| refusal.command.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["HSET", "INFO", "SUNSUBSCRIBE", "XGROUP|CREATE"]);
    assert_eq!(error.outage(), None, "a node does not wait for permissions");
    assert!(chain(&error).contains("`postern redis acl`"), "{}", chain(&error));
}

/// A user without a permission that only notifications of expired keys need.
#[tokio::test]
async fn node_starts_without_notifications_of_expired_keys() {
    let redis = Redis::start().await;
    set_user(
        &redis,
        &format!("{} -subscribe resetchannels &pn:*", documented_rules()),
    )
    .await;
    connect_as(&settings(redis.addr())).await.unwrap();
}

/// ACL rules in docs/operations/redis.md.
pub(crate) fn documented_rules() -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations/redis.md");
    let page = std::fs::read_to_string(page).unwrap();
    let line = page.lines().find(|line| line.starts_with("resetkeys "));
    line.expect("the ACL rules in docs/operations/redis.md").to_owned()
}

async fn set_user(redis: &Redis, rules: &str) {
    let mut command = vec!["ACL", "SETUSER", "gate", "reset", "on", ">hunter2"];
    command.extend(rules.split(' '));
    redis.command(&command).await;
}

/// Error of a start on this server.
async fn refused(server: SocketAddr) -> ConnectError {
    connect_as(&settings(server))
        .await
        .err()
        .expect("connected without a permission")
}

fn settings(server: SocketAddr) -> RedisSettings {
    RedisSettings::new(format!("redis://gate:hunter2@{server}").parse().unwrap())
}
