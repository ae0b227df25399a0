//! Values of a newer version: each reader does what docs/operations/upgrading.md says.

use std::collections::BTreeSet;
use std::time::Duration;

use bus::{ChannelMessage, ResumeLease, ResumeToken, SessionState};
use protocol::cluster::job::Lane::Interactive;
use protocol::id::{ConnectionId, JobId, SessionId};
use protocol::time::Timestamp;
use testkit::{Redis, wait};

use super::stored::millis_ahead;
use super::{LEASE, MINUTE, OPENED, key, socket, token};
use crate::nodes::{SHORT_WAIT, TestSubscriptions, connect};
use crate::sample::{job, node, offset, publish, reply, user, worker};

const LANE: &str = "pn:{jobs:interactive}";
/// Longer than the interval at which a worker reclaims jobs.
const RECLAIMED: Duration = Duration::from_millis(1_500);

#[tokio::test]
async fn job_of_a_newer_version_waits_for_a_newer_worker_and_delays_no_other_job() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    // Creates the group.
    bus.claim(Interactive, &worker("w-1"), 1, SHORT_WAIT).await.unwrap();
    let deadline = "9999999999999";
    for number in 0..5 {
        let text = format!(r#"{{"v":3,"id":"new-{number}","user":"u","task":{{}}}}"#);
        let entry = ["XADD", LANE, "*", "id", "new", "deadline", deadline, "job", &text];
        redis.command(&entry).await;
    }
    bus.submit(Interactive, &job("old", 1), MINUTE).await.unwrap();
    // One at a time, so that the job is behind several pages of others.
    let claimed = bus
        .claim(Interactive, &worker("w-1"), 1, wait::deadline())
        .await
        .unwrap();
    assert_eq!(claimed[0].job.id, JobId::new("old").unwrap());
    let entry = claimed[0].entry.0.as_str();
    let lose = ["XCLAIM", LANE, "workers", "w-1", "0", entry, "IDLE", "3000", "JUSTID"];
    redis.command(&lose).await;
    let reclaimed = bus
        .claim(Interactive, &worker("w-2"), 1, wait::deadline())
        .await
        .unwrap();
    assert_eq!(reclaimed[0].entry, claimed[0].entry);
    bus.finish(Interactive, &reclaimed[0].entry).await.unwrap();

    for name in ["w-1", "w-2"] {
        let found = bus.claim(Interactive, &worker(name), 9, RECLAIMED).await.unwrap();
        assert!(found.is_empty(), "{name} decodes versions 1 and 2");
    }
    assert_eq!(redis.command(&["EXISTS", "pn:{jobs:interactive}:dead"]).await, "0");
    // Those are due at once for a worker that reads version 3, and have both of their deliveries.
    let pending = redis
        .command(&["XPENDING", LANE, "workers", "IDLE", "3000", "-", "+", "9"])
        .await;
    let deliveries: Vec<_> = pending.lines().skip(3).step_by(4).collect();
    assert_eq!(deliveries, ["0"; 5]);
}

#[tokio::test]
async fn job_of_a_newer_version_is_dropped_at_its_deadline() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    bus.claim(Interactive, &worker("w-1"), 1, SHORT_WAIT).await.unwrap();
    let text = r#"{"v":3}"#;
    let deadline = millis_ahead(&redis, 2).await;
    redis
        .command(&["XADD", LANE, "*", "id", "new", "deadline", &deadline, "job", text])
        .await;
    wait::until_true("the job to be dropped", wait::deadline(), async || {
        bus.claim(Interactive, &worker("w-1"), 9, SHORT_WAIT).await.unwrap();
        redis.command(&["XLEN", LANE]).await == "0"
    })
    .await;
}

#[tokio::test]
async fn reply_of_a_newer_version_is_left_out_of_the_stored_ones() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    redis.command(&["SET", "pn:{n:gw-1}:r:new", r#"{"v":2}"#]).await;
    bus.reply(&node("gw-1"), &reply("old")).await.unwrap();
    let jobs = ["new", "old"].map(|job| JobId::new(job).unwrap());
    let stored = bus.stored_replies(&node("gw-1"), &jobs).await.unwrap();
    assert_eq!(stored, [reply("old")]);
}

#[tokio::test]
async fn socket_of_a_newer_version_is_neither_listed_nor_closed_above_the_bound() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    bus.renew_node(&node("gw-1"), LEASE).await.unwrap();
    redis
        .command(&["HSET", "pn:{u}:conn", "new", r#"{"v":2,"gateway":"gw-2"}"#])
        .await;
    let registered = bus.register_socket(&user("u"), &socket(), 1).await.unwrap();
    assert_eq!(registered, []);
    assert_eq!(bus.open_sockets(&user("u")).await.unwrap(), [socket()]);
    assert_eq!(redis.command(&["HEXISTS", "pn:{u}:conn", "new"]).await, "1");
}

#[tokio::test]
async fn resume_token_of_a_newer_version_is_not_redeemed_and_its_older_lease_has_ended() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    redis.command(&["HSET", "pn:{u}:pids", "new", r#"{"v":2}"#]).await;
    let (session, now) = (SessionId::new("s-1").unwrap(), Timestamp::from_millis(1));
    assert_eq!(bus.redeem_token(&token("new"), &session, now).await.unwrap(), None);
    let lease = ResumeLease {
        key: token("new"),
        redemption: 0,
    };
    assert_eq!(bus.renew_tokens(&[lease]).await.unwrap(), [false]);
    let issued = ResumeToken {
        session,
        connection: ConnectionId::new("c-1").unwrap(),
        start: offset(&*bus, &user("u")).await,
    };
    for number in 0..3 {
        bus.issue_token(&token(&format!("t-{number}")), &issued, 1)
            .await
            .unwrap();
    }
    let kept = redis.command(&["HKEYS", "pn:{u}:pids"]).await;
    assert_eq!(kept.lines().collect::<BTreeSet<_>>(), BTreeSet::from(["new", "t-2"]));
}

#[tokio::test]
async fn session_of_a_newer_version_is_unknown_until_a_worker_opens_it() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let newer = [key("u", "s-1"), key("u", "s-2")];
    redis.command(&["SET", "pn:{u}:s:s-1", "3 {}"]).await;
    redis.command(&["SET", "pn:{u}:s:s-2", "3 ended 5"]).await;
    assert_eq!(
        bus.check_ttl(&newer).await.unwrap(),
        [SessionState::Unknown, SessionState::Unknown]
    );
    for session in &newer {
        let opened = bus.seed(session, OPENED).await.unwrap();
        assert!(matches!(opened, SessionState::Alive(_)), "{opened:?}");
    }
}

/// A node that did not understand it would let ended sessions go on.
#[tokio::test]
async fn under_an_end_of_all_sessions_in_a_newer_format_each_session_is_unknown() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let session = [key("u", "s-1")];
    bus.seed(&session[0], OPENED).await.unwrap();
    redis.command(&["SET", "pn:{u}:ended", "v2 5"]).await;
    assert_eq!(bus.check_ttl(&session).await.unwrap(), [SessionState::Unknown]);
}

#[tokio::test]
async fn event_of_a_newer_version_has_the_offset_of_its_user_compared_at_once() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    subscriptions.handle.subscribe(&user("u")).await.unwrap();
    publish(&*bus, &user("u"), 1).await;
    assert_eq!(subscriptions.next_seq().await, 1);
    redis
        .command(&["SPUBLISH", "pn:{u}:ev", r#"0badcafe-2 {"v":2,"kind":"x"}"#])
        .await;
    assert_eq!(subscriptions.next().await, ChannelMessage::MissedOf(vec![user("u")]));
}
