//! Redis that comes back as another one: what it lost must not be taken for what never was.

use bus::{BusError, Hint, LogRead, ResumeToken, ResumeTokenKey};
use protocol::cluster::origin::Origin;
use protocol::id::{ConnectionId, ResumeTokenId, SessionId};
use protocol::time::Timestamp;
use testkit::{Redis, wait};

use crate::nodes::{Ear, connect, until_live};
use crate::sample::{event, offset, publish, publish_surely, user};

#[tokio::test]
async fn a_redis_that_lost_everything_begins_new_epochs() {
    let mut redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut ear = Ear::open(&*bus).await;
    ear.feed.subscribe(&user).await.unwrap();
    let before = publish(&*bus, &user, 1).await;
    redis.restart().await;
    ear.missed().await;
    until_live(&*bus, &ear, true).await;

    let LogRead::Gap(now) = bus.read_log(&user, &before, 9).await.unwrap() else {
        panic!("a lost log is reported, not hidden");
    };
    assert_ne!(now.epoch, before.epoch);
    let after = publish(&*bus, &user, 2).await;
    assert_eq!((&after.epoch, after.seq), (&now.epoch, 1));
    ear.until(&after).await;
}

#[tokio::test]
async fn a_redis_restarted_from_a_snapshot_gives_no_place_twice() {
    let mut redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    publish(&*bus, &user, 1).await;
    redis.command(&["SAVE"]).await;
    let unsaved = publish(&*bus, &user, 2).await;
    redis.restart().await;
    assert_eq!(redis.command(&["EXISTS", "pn:{GEN-001}:pos"]).await, "1");
    wait::until_true("the bus to live", wait::deadline(), async || {
        bus.offsets(std::slice::from_ref(&user)).await.is_ok()
    })
    .await;

    let place = publish(&*bus, &user, 3).await;
    assert_ne!(place, unsaved);
    assert_ne!(place.epoch, unsaved.epoch);
    assert_eq!(bus.read_log(&user, &unsaved, 9).await.unwrap(), LogRead::Gap(place));
}

#[tokio::test]
async fn another_primary_begins_new_epochs() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let before = publish(&*bus, &user, 1).await;
    // What a promoted replica does: the same data under the id of a new history.
    redis.command(&["DEBUG", "CHANGE-REPL-ID"]).await;
    let after = publish(&*bus, &user, 2).await;
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(after.seq, 1);
    assert_eq!(
        redis.command(&["XLEN", "pn:{GEN-001}:log"]).await,
        "1",
        "the old log is gone"
    );

    redis.command(&["DEBUG", "CHANGE-REPL-ID"]).await;
    let asked = offset(&*bus, &user).await;
    assert_ne!(asked.epoch, after.epoch, "asking is enough to see it");
    let key = ResumeTokenKey {
        user: user.clone(),
        id: ResumeTokenId::new("t-1").unwrap(),
    };
    let ticket = ResumeToken {
        session: SessionId::new("s-1").unwrap(),
        connection: ConnectionId::new("c-1").unwrap(),
        start: asked.clone(),
    };
    bus.issue_token(&key, &ticket).await.unwrap();
    redis.command(&["DEBUG", "CHANGE-REPL-ID"]).await;
    assert_eq!(
        bus.redeem_token(&key, &ticket.session, Timestamp::from_millis(1))
            .await
            .unwrap(),
        None,
        "its place is of another history"
    );
    assert!(matches!(bus.read_log(&user, &asked, 9).await.unwrap(), LogRead::Gap(now) if now.epoch != asked.epoch));
}

#[tokio::test]
async fn a_server_that_was_a_replica_for_a_while_is_used_again() {
    let (redis, other) = (Redis::start().await, Redis::start().await);
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut ear = Ear::open(&*bus).await;
    ear.feed.subscribe(&user).await.unwrap();
    let before = publish(&*bus, &user, 1).await;
    let port = other.port().to_string();
    redis.command(&["REPLICAOF", "127.0.0.1", &port]).await;
    let error = bus.publish(&user, &event(2)).await.unwrap_err();
    assert!(matches!(error, BusError::Unavailable { .. }), "{error:?}");
    redis.command(&["REPLICAOF", "NO", "ONE"]).await;
    publish_surely(&*bus, &user, 2).await;
    let after = offset(&*bus, &user).await;
    assert_ne!(after.epoch, before.epoch);
    ear.until(&after).await;
}

#[tokio::test]
async fn a_log_that_was_lost_alone_is_reported() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let first = publish(&*bus, &user, 1).await;
    publish(&*bus, &user, 2).await;
    redis.command(&["DEL", "pn:{GEN-001}:log"]).await;
    assert!(matches!(bus.read_log(&user, &first, 9).await.unwrap(), LogRead::Gap(_)));
    publish(&*bus, &user, 3).await;
    assert!(
        matches!(bus.read_log(&user, &first, 9).await.unwrap(), LogRead::Gap(_)),
        "a hole is no replay"
    );
}

#[tokio::test]
async fn hints_of_another_primary_are_none() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let from = Origin {
        address: "192.0.2.1".to_owned(),
        device_id: None,
        device_name: None,
        user_agent: None,
    };
    bus.mark_seen(&user, &from).await.unwrap();
    bus.begin_alert_check(&user, "a").await.unwrap();
    bus.mark_no_open_alerts(&user, "a").await.unwrap();
    let both = Hint {
        seen: true,
        no_open_alerts: true,
    };
    assert_eq!(bus.hint(&user, &from).await.unwrap(), both);
    redis.command(&["DEBUG", "CHANGE-REPL-ID"]).await;
    assert_eq!(bus.hint(&user, &from).await.unwrap(), Hint::default());
    bus.mark_seen(&user, &from).await.unwrap();
    assert!(bus.hint(&user, &from).await.unwrap().seen);
}

#[tokio::test]
async fn what_only_a_newer_release_understands_is_reported_lost_and_stops_nobody_for_good() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let start = offset(&*bus, &user).await;
    let first = publish(&*bus, &user, 1).await;
    let newer = r#"{"v":99,"id":"e-2","class":"state","event":"x","data":2}"#;
    redis.command(&["HINCRBY", "pn:{GEN-001}:pos", "seq", "1"]).await;
    redis
        .command(&["XADD", "pn:{GEN-001}:log", "2-0", "event", newer])
        .await;
    let last = publish(&*bus, &user, 3).await;

    let LogRead::Events(events) = bus.read_log(&user, &start, 9).await.unwrap() else {
        panic!("what comes before it can be read")
    };
    assert_eq!(events.len(), 1);
    assert_eq!(
        bus.read_log(&user, &first, 9).await.unwrap(),
        LogRead::Gap(last.clone())
    );
    assert_eq!(
        bus.read_log(&user, &last, 9).await.unwrap(),
        LogRead::Events(Vec::new())
    );
}
