//! Redis behind sentinels: a failover moves every connection to the new primary.

use std::sync::Arc;
use std::time::Duration;

use bus::{ConnectError, RedisBus, RedisSettings};
use lifecycle::{Dependencies, DependencyState, SystemClock};
use protocol::cluster::job::Lane::Interactive;
use protocol::fault::chain;
use testkit::{RedisSentinel, wait};
use tokio::time::timeout;

use crate::nodes::{SHORT_WAIT, TestSubscriptions, connect, runtime, until_live};
use crate::sample::{job, node, offset, publish, publish_with_retry, reply, user, worker};

#[tokio::test]
async fn failover_on_request_moves_commands_subscriptions_expiries_and_lanes() {
    let redis = RedisSentinel::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let (owner, gateway, worker) = (user("GEN-001"), node("gw-1"), worker("w-1"));
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    subscriptions.handle.subscribe(&owner).await.unwrap();
    let mut replies = bus.subscribe_replies(&gateway).await.unwrap();
    let _expiries = bus.expiries();
    bus.claim(Interactive, &worker, 1, SHORT_WAIT).await.unwrap();
    publish(&*bus, &owner, 1).await;
    assert_eq!(subscriptions.next_seq().await, 1);
    until_connections(&redis, 0, CONNECTIONS).await;

    let primary = redis.failover().await;
    subscriptions.missed().await;
    wait::until_true("the lane to be read", wait::deadline(), async || {
        bus.claim(Interactive, &worker, 1, SHORT_WAIT).await.is_ok()
    })
    .await;
    until_connections(&redis, 0, 0).await;
    until_connections(&redis, primary, CONNECTIONS).await;
    until_live(&*bus, &subscriptions, true).await;
    publish_with_retry(&*bus, &owner, 2).await;
    subscriptions.until(&offset(&*bus, &owner).await).await;
    bus.reply(&gateway, &reply("j-1")).await.unwrap();
    assert_eq!(replies.recv().await.unwrap(), reply("j-1"));
    bus.submit(Interactive, &job("j-1", 1), PATIENCE).await.unwrap();
    let claimed = bus.claim(Interactive, &worker, 1, wait::deadline()).await.unwrap();
    assert_eq!(claimed.len(), 1);
}

/// The paused primary returns and takes writes until the sentinels reach it: a write there would be lost.
#[tokio::test]
async fn paused_primary_is_left_for_good_also_by_a_blocked_claim() {
    let mut redis = RedisSentinel::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let owner = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    subscriptions.handle.subscribe(&owner).await.unwrap();
    let claimer = worker("w-1");
    bus.claim(Interactive, &claimer, 1, SHORT_WAIT).await.unwrap();

    redis.server_mut(0).pause();
    let primary = redis.until_primary_is_not(0).await;
    publish_with_retry(&*bus, &owner, 1).await;
    redis.server_mut(0).resume();
    for number in 2..=20 {
        publish(&*bus, &owner, number).await;
    }
    // An event that comes before the subscription at the new primary is left to the comparison of offsets behind it.
    let mut last = 20;
    wait::until_true("an event of the new primary", wait::deadline(), async || {
        last += 1;
        let published = publish(&*bus, &owner, last).await;
        let received = subscriptions.until(&published);
        timeout(Duration::from_secs(1), received).await.is_ok()
    })
    .await;
    wait::until_true("a job of the new primary", wait::deadline(), async || {
        drop(bus.submit(Interactive, &job("j-1", 1), PATIENCE).await);
        let claimed = bus.claim(Interactive, &claimer, 1, SHORT_WAIT).await;
        claimed.is_ok_and(|claimed| claimed.len() == 1)
    })
    .await;
    let log = redis.server(primary).command(&["XLEN", "pn:{GEN-001}:log"]).await;
    assert_eq!(log, last.to_string());
    until_connections(&redis, 0, 0).await;
}

#[tokio::test]
async fn one_sentinel_of_three_suffices_and_an_outage_of_all_of_them_is_reported_apart() {
    let redis = RedisSentinel::start().await;
    redis.kill_sentinel(0).await;
    redis.kill_sentinel(1).await;
    let runtime = runtime(Arc::new(SystemClock));
    let bus = RedisBus::connect(&settings(&redis.url()), &runtime).await.unwrap();
    until_state(&runtime.dependencies, "redis_sentinel", DependencyState::Up).await;
    redis.kill_sentinel(2).await;
    until_state(&runtime.dependencies, "redis_sentinel", DependencyState::Down).await;
    until_state(&runtime.dependencies, "redis", DependencyState::Up).await;
    publish(&bus, &user("GEN-001"), 1).await;

    let error = refused(&redis.url()).await;
    assert_eq!(error.outage(), Some("unreachable"));
    let line = chain(&error);
    assert!(
        line.starts_with(&format!("find the primary of {}: no sentinel names", redis.url())),
        "{line}"
    );
}

#[tokio::test]
async fn unknown_name_of_the_primary_ends_the_start_and_is_named() {
    let redis = RedisSentinel::start().await;
    let url = redis.url().replace(RedisSentinel::MASTER, "another");
    let error = refused(&url).await;
    assert_eq!(error.outage(), None, "no wait ends it");
    assert!(
        chain(&error).ends_with("the sentinels know no primary named another"),
        "{}",
        chain(&error)
    );
}

#[tokio::test]
async fn sentinels_and_servers_have_logins_of_their_own() {
    let redis = RedisSentinel::start().await;
    let gate = ["ACL", "SETUSER", "gate", ">right", "on", "+@all", "~*", "&*"];
    redis.server(0).command(&gate).await;
    for index in 0..3 {
        let door = ["ACL", "SETUSER", "door", ">key", "on"];
        redis.sentinel_command(index, &[&door[..], DOCUMENTED].concat()).await;
    }
    let url = |password, key| {
        let url = redis.url().replace("://", &format!("://gate:{password}@"));
        format!("{url}&sentinel_user=door&sentinel_password={key}")
    };
    connect(&url("right", "key"), "pn").await;
    for (password, key, step) in [
        ("wrong", "key", "ask 127.0.0.1"),
        ("right", "wrong", "no sentinel names a primary"),
    ] {
        let error = refused(&url(password, key)).await;
        assert_eq!(error.outage(), Some("auth"));
        let line = chain(&error);
        assert!(line.contains(step) && line.contains("WRONGPASS"), "{line}");
        assert!(!line.contains("right@") && !line.contains("=key"), "{line}");
    }
}

/// Waits until nodes have this many connections to a server.
async fn until_connections(redis: &RedisSentinel, server: usize, expected: usize) {
    wait::until_true("connections of nodes", wait::deadline(), async || {
        let list = redis.server(server).command(&["CLIENT", "LIST"]).await;
        let ours = |line: &&str| !line.contains(" name=sentinel-") && !line.contains(" cmd=client|list ");
        let nodes = |line: &&str| !line.contains(" flags=S ") && !line.contains(" flags=M ");
        list.lines().filter(ours).filter(nodes).count() == expected
    })
    .await;
}

async fn until_state(dependencies: &Dependencies, name: &str, expected: DependencyState) {
    wait::until_true(name, wait::deadline(), async || {
        let mut statuses = dependencies.statuses().into_iter();
        statuses.any(|status| status.name == name && status.state == expected)
    })
    .await;
}

/// Error of a node that starts with this URL.
async fn refused(url: &str) -> ConnectError {
    let started = RedisBus::connect(&settings(url), &runtime(Arc::new(SystemClock))).await;
    started.expect_err("the node starts")
}

fn settings(url: &str) -> RedisSettings {
    RedisSettings::new(url.parse().unwrap())
}

/// Rights at a sentinel, as docs/operations/redis.md has them.
const DOCUMENTED: &[&str] = &[
    "+sentinel|get-master-addr-by-name",
    "+sentinel|master",
    "+hello",
    "+ping",
    "+info",
    "+client|id",
];

/// Connections of a node with one lane: commands, events, replies, expiries, reads.
const CONNECTIONS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);
