//! Limits of managed servers: at most 3,999 arguments per command, and no CONFIG, KEYS or SCRIPT.

use bus::{ResumeLease, ResumeTokenKey, SessionKey};
use futures_util::future::join_all;
use protocol::id::{JobId, ResumeTokenId, SessionId, UserId};
use testkit::{Redis, wait};

use crate::nodes::{TestSubscriptions, connect, until_live};
use crate::sample::{node, user};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_for_many_users_stay_below_the_argument_limit() {
    let redis = Redis::start().await;
    let watched = [
        "CONFIG",
        "SET",
        "slowlog-log-slower-than",
        "0",
        "slowlog-max-len",
        "1000000",
    ];
    redis.command(&watched).await;
    let bus = connect(&redis.url(), "pn").await;
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    let users: Vec<UserId> = (0..MANY).map(|number| user(&format!("u-{number}"))).collect();
    let subscribed = join_all(users.iter().map(|user| subscriptions.handle.subscribe(user))).await;
    assert!(subscribed.iter().all(Result::is_ok));
    // The reconnect subscribes all of them again.
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    subscriptions.missed().await;
    until_live(&*bus, &subscriptions, true).await;

    bus.offsets(&users).await.unwrap();
    let session = SessionId::new("s").unwrap();
    let sessions = users.iter().map(|user| SessionKey {
        user: user.clone(),
        session: session.clone(),
    });
    bus.check_ttl(&sessions.collect::<Vec<_>>()).await.unwrap();
    let leases = users.iter().map(|user| ResumeLease {
        key: ResumeTokenKey {
            user: user.clone(),
            id: ResumeTokenId::new("t").unwrap(),
        },
        redemption: 1,
    });
    bus.renew_tokens(&leases.collect::<Vec<_>>()).await.unwrap();
    let jobs: Vec<JobId> = (0..MANY)
        .map(|number| JobId::new(format!("j-{number}")).unwrap())
        .collect();
    bus.stored_replies(&node("gw-1"), &jobs).await.unwrap();
    bus.delete_replies(&node("gw-1"), &jobs).await.unwrap();

    let log = redis.command(&["SLOWLOG", "GET", "-1"]).await;
    let asked = ["ssubscribe", "mget", "del"];
    for command in asked {
        let is_there = |line: &str| line.eq_ignore_ascii_case(command);
        assert!(log.lines().any(is_there), "{command} is not in the log");
    }
    // The slow log keeps 31 arguments of each command, and the number of further ones.
    let most = log.lines().filter_map(|line| {
        let more = line.strip_prefix("... (")?.strip_suffix(" more arguments)")?;
        more.parse::<usize>().ok()
    });
    let most = most.max().unwrap() + 31;
    assert!((512..3_999).contains(&most), "{most} arguments");
}

#[tokio::test]
async fn redis_user_without_config_keys_and_script_suffices() {
    let redis = Redis::start().await;
    // The ACL of docs/operations/running.md.
    let rights = [
        "~pn:*",
        "&pn:*",
        "&__keyevent@*__:expired",
        "+@all",
        "-@admin",
        "-@dangerous",
        "+info",
        "+client|setname",
    ];
    let denied = ["-config", "-keys", "-script"];
    let mut command = vec!["ACL", "SETUSER", "gate", "on", ">right", "resetchannels"];
    command.extend(rights);
    command.extend(denied);
    redis.command(&command).await;
    let bus = connect(&format!("redis://gate:right@{}", redis.addr()), "pn").await;
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    let user = user("GEN-001");
    subscriptions.handle.subscribe(&user).await.unwrap();
    crate::sample::publish(&*bus, &user, 1).await;
    assert_eq!(subscriptions.next_seq().await, 1);
    // Keyspace notifications arrive too.
    let _expiries = bus.expiries();
    wait::until_true("the keyspace channel to be subscribed", wait::deadline(), async || {
        let answer = redis.command(&["PUBSUB", "NUMSUB", "__keyevent@0__:expired"]).await;
        answer.lines().nth(1) == Some("1")
    })
    .await;
    // Flushed scripts are resent, without SCRIPT LOAD.
    redis.command(&["SCRIPT", "FLUSH"]).await;
    crate::sample::publish(&*bus, &user, 2).await;
    assert_eq!(subscriptions.next_seq().await, 2);
}

/// More than one command may have arguments.
const MANY: usize = 4_100;
