//! Managed servers take 3,999 arguments a command at most, and forbid CONFIG, KEYS and SCRIPT.

use bus::{ResumeLease, ResumeTokenKey, SessionKey};
use futures_util::future::join_all;
use protocol::id::{JobId, ResumeTokenId, SessionId, UserId};
use testkit::{Redis, wait};

use crate::nodes::{Ear, connect, until_live};
use crate::sample::{node, user};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_has_more_arguments_than_managed_servers_take_however_many_users_there_are() {
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
    let mut ear = Ear::open(&*bus).await;
    let users: Vec<UserId> = (0..MANY).map(|number| user(&format!("u-{number}"))).collect();
    let subscribed = join_all(users.iter().map(|user| ear.feed.subscribe(user))).await;
    assert!(subscribed.iter().all(Result::is_ok));
    // All of them are subscribed again.
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    ear.missed().await;
    until_live(&*bus, &ear, true).await;

    bus.offsets(&users).await.unwrap();
    let session = SessionId::new("s").unwrap();
    let sessions = users.iter().map(|user| SessionKey {
        user: user.clone(),
        session: session.clone(),
    });
    bus.check_ttl(&sessions.collect::<Vec<_>>()).await.unwrap();
    let holds = users.iter().map(|user| ResumeLease {
        key: ResumeTokenKey {
            user: user.clone(),
            id: ResumeTokenId::new("t").unwrap(),
        },
        redemption: 1,
    });
    bus.renew_tokens(&holds.collect::<Vec<_>>()).await.unwrap();
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
    // Redis keeps 31 arguments of each command and says how many more there were.
    let most = log.lines().filter_map(|line| {
        let more = line.strip_prefix("... (")?.strip_suffix(" more arguments)")?;
        more.parse::<usize>().ok()
    });
    let most = most.max().unwrap() + 31;
    assert!((512..3_999).contains(&most), "{most} arguments");
}

#[tokio::test]
async fn a_user_who_may_not_configure_list_keys_or_manage_scripts_is_enough() {
    let redis = Redis::start().await;
    // As docs/operations/running.md says it.
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
    let mut ear = Ear::open(&*bus).await;
    let user = user("GEN-001");
    ear.feed.subscribe(&user).await.unwrap();
    crate::sample::publish(&*bus, &user, 1).await;
    assert_eq!(ear.next_seq().await, 1);
    // And announcements of expiries reach it.
    let _expiries = bus.expiries();
    wait::until_true("expiries to be subscribed", wait::deadline(), async || {
        let answer = redis.command(&["PUBSUB", "NUMSUB", "__keyevent@0__:expired"]).await;
        answer.lines().nth(1) == Some("1")
    })
    .await;
    // Scripts that the server forgot are sent again, without SCRIPT LOAD.
    redis.command(&["SCRIPT", "FLUSH"]).await;
    crate::sample::publish(&*bus, &user, 2).await;
    assert_eq!(ear.next_seq().await, 2);
}

const MANY: usize = 5_000;
